"""Where Galley keeps its files, and how it writes them.

`GALLEY_HOME` moves everything, so that two instances can run side by side. `vm/directory.py`
describes `machine/` inside it; no other module contains file names of a machine. No other local
user is trusted: `check_home` precedes reading a key or connecting a socket.
"""

import contextlib
import hashlib
import os
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import platformdirs

from vm.errors import DiskFull, HomeUnusable
from vm.host import ownership
from vm.messages.host import DISK_FULL, HOME_NOT_OURS, HOME_NOT_WRITABLE, HOME_PATH_TOO_LONG

RUN_PREFIX = "galley-"  # of a run directory that is not in its home; the home's hash follows
SOCKET_PATH_LIMIT = 104  # bytes with the closing NUL: macOS sun_path; Linux has 108
READING = 2.0  # seconds that a file to be replaced may be open
PAUSE = 0.02  # seconds between two tries


class Home(msgspec.Struct, frozen=True):
    """The directories of one Galley instance."""

    root: Path
    run: Path  # sockets, locks, pid files; short enough for a socket path; 0700

    @property
    def settings(self) -> Path:
        return self.root / "settings.toml"

    @property
    def daemon_config(self) -> Path:
        return self.root / "daemon.json"

    @property
    def machine(self) -> Path:
        return self.root / "machine"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def image_choice(self) -> Path:
        return self.root / "image-choice.json"

    @property
    def image_check(self) -> Path:
        return self.root / "image-check.json"

    @property
    def image_feeds(self) -> Path:
        return self.root / "image-feeds.json"

    @property
    def apt(self) -> Path:
        return self.root / "apt"

    @property
    def changelogs(self) -> Path:
        return self.root / "changelogs"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def docker_socket(self) -> Path:
        return self.run / "docker.sock"


def find_home() -> Home:
    """`GALLEY_HOME`, or the platform's data directory. Creates nothing."""
    given = os.environ.get("GALLEY_HOME")
    return home_at(given) if given else Home(default_root(), _run_directory(default_root()))


def home_at(folder: str | Path) -> Home:
    """The directories of that instance. Creates nothing."""
    root = Path(os.path.abspath(Path(folder).expanduser()))
    return Home(root, _run_directory(root))


def default_root() -> Path:
    """The root without GALLEY_HOME."""
    return Path(os.path.abspath(platformdirs.user_data_dir("galley", False)))


def temporary_folders() -> tuple[str, ...]:
    """The system's folders for temporary files, with links resolved: /tmp, and $TMPDIR, which macOS
    sets to a private folder of the user."""
    named = ["/tmp"] if os.name == "posix" else []
    with contextlib.suppress(OSError):  # there is none that can be written
        named.append(tempfile.gettempdir())
    return tuple(sorted({os.path.realpath(name) for name in named if os.path.isdir(name)}))


def make_home(home: Home) -> Home:
    """Create the directories, private to this user. Raises HomeUnusable, DiskFull."""
    for folder in _folders(home):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise unusable(home.root, error) from error
        try:
            _make_private(home, folder)
        except OSError as error:
            raise untrusted(home.root, error) from error
    for folder in (home.root, home.run):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise unusable(home.root, PermissionError(13, f"{folder} is not writable"))
    check_home(home)
    return home


def check_home(home: Home) -> None:
    """Raises HomeUnusable when another user made a directory of this home or a file in it, or may
    write there. Missing ones are fine."""
    try:
        for folder in _folders(home):
            with contextlib.suppress(FileNotFoundError):
                if folder == home.run:
                    ownership.check_folder(folder, ownership.OTHERS)
                else:
                    ownership.check_folder(ownership.target(folder))
                _check_content(folder)
    except OSError as error:
        raise untrusted(home.root, error) from error


def _folders(home: Home) -> tuple[Path, ...]:
    return (home.root, home.run, home.machine, home.images, home.logs)


def _make_private(home: Home, folder: Path) -> None:
    """Restrict the mode, for sockets and keys are inside. Where the user has put a link, the mode
    of its target stays."""
    real = folder if folder == home.run else ownership.target(folder)
    ownership.check_folder(real, others=0)
    may_change = real.lstat().st_uid in ownership.own_ids()
    if may_change and (real == folder or folder == home.root):
        real.chmod(0o700)


def _check_content(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # it has just been removed
                ownership.check(entry.path, entry.stat(follow_symlinks=False))


def untrusted(root: Path, error: OSError) -> HomeUnusable:
    """The error for what `ownership` refuses below `root`."""
    return HomeUnusable(
        HOME_NOT_OURS,
        root=root,
        reason=error.strerror or error,
        details=str(error),
    )


def unusable(root: Path, error: OSError) -> HomeUnusable | DiskFull:
    """The error for a failed write below `root`."""
    if error.errno == 28:  # ENOSPC
        return DiskFull(DISK_FULL, root=root)
    return HomeUnusable(
        HOME_NOT_WRITABLE,
        root=root,
        reason=error.strerror or error,
        details=str(error),
    )


def _run_directory(root: Path) -> Path:
    """`root/run`, or a short private directory where that would exceed the limit of socket paths.

    One that is in use stays in use, so that a machine is found that was started by an older version
    or in another environment.
    """
    if os.name == "nt" or _fits(root / "run"):
        return root / "run"
    name = RUN_PREFIX + hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    short = [base / name for base in run_bases() if _fits(base / name)]
    if not short:
        raise HomeUnusable(HOME_PATH_TOO_LONG, root=root)
    return next(filter(_is_in_use, short), short[0])


def run_bases() -> list[Path]:
    """Where a short run directory may be. The last one, where other users may write, only if the
    others are too long."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    private = [Path(runtime)] if runtime else []
    return [*private, Path(platformdirs.user_state_dir()), Path(tempfile.gettempdir())]


def _fits(run: Path) -> bool:
    return len(os.fsencode(run / "docker.sock.xxxxxxxx")) < SOCKET_PATH_LIMIT


def _is_in_use(run: Path) -> bool:
    """Whether it is private to this user and contains sockets."""
    try:
        ownership.check_folder(run, ownership.OTHERS)
        return any(run.glob("*.sock"))
    except OSError:
        return False


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` so that a crash leaves the old or the new content, never a part.

    Raises HomeUnusable or DiskFull; the old file is unchanged then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # Windows may still hold it
            temporary.unlink(missing_ok=True)
        raise unusable(path.parent, error) from error


def _replace(new: Path, path: Path) -> None:
    """Windows replaces no open file; readers close it within a moment."""
    deadline = time.monotonic() + READING
    while True:
        try:
            os.replace(new, path)
            return
        except PermissionError:
            if os.name != "nt" or time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE)


def sync_directory(folder: Path) -> None:
    """Make a rename in `folder` durable. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
