"""Where Galley keeps its files, and how it writes them. May import: platformdirs, `vm.errors`.

`GALLEY_HOME` moves everything, so that two instances run side by side. `machine/` inside it is
described in `vm/directory.py`; nothing else knows file names of a machine.
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

SOCKET_PATH_LIMIT = 104  # bytes with the closing NUL: macOS sun_path; Linux has 108
READING = 2.0  # seconds that somebody may have a file open that is to be replaced
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
    """That of one instance. Creates nothing."""
    root = Path(os.path.abspath(Path(folder).expanduser()))
    return Home(root, _run_directory(root))


def default_root() -> Path:
    """Where everything is when nobody says otherwise."""
    return Path(os.path.abspath(platformdirs.user_data_dir("galley", False)))


def make_home(home: Home) -> Home:
    """Create the directories, private to this user. Raises HomeUnusable, DiskFull."""
    for folder in (home.root, home.run, home.machine, home.images, home.logs):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise unusable(home.root, error) from error
    for folder in (home.root, home.run):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise unusable(home.root, PermissionError(13, f"{folder} is not writable"))
        if os.name == "posix":
            _keep_private(home, folder)
    return home


def _keep_private(home: Home, folder: Path) -> None:
    """Sockets and keys live here: the folder must be ours, and nobody else's."""
    try:
        if folder.stat().st_uid != os.getuid():
            raise unusable(home.root, PermissionError(13, f"{folder} belongs to another user"))
        folder.chmod(0o700)
    except OSError as error:
        raise unusable(home.root, error) from error


def unusable(root: Path, error: OSError) -> HomeUnusable | DiskFull:
    """The user's error for a failed write below `root`."""
    if error.errno == 28:  # ENOSPC
        return DiskFull(f"There is no space left on the disk that holds {root}.", "Free some space")
    return HomeUnusable(
        f"Galley cannot use {root}: {error.strerror or error}.",
        "Set GALLEY_HOME to a directory that you can write to.",
        details=str(error),
    )


def _run_directory(root: Path) -> Path:
    """`root/run`, or a short private directory where that would pass the limit of socket paths."""
    longest = root / "run" / "docker.sock.xxxxxxxx"
    if os.name == "nt" or len(os.fsencode(longest)) < SOCKET_PATH_LIMIT:
        return root / "run"
    name = "galley-" + hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    short = Path(base) / name
    if len(os.fsencode(short / "docker.sock.xxxxxxxx")) >= SOCKET_PATH_LIMIT:
        short = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(short / "docker.sock.xxxxxxxx")) >= SOCKET_PATH_LIMIT:
        raise HomeUnusable(
            f"The path {root} is too long for a socket.", "Set GALLEY_HOME to a shorter path."
        )
    return short


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` so that a crash leaves the old or the new content, never a part.

    Raises HomeUnusable or DiskFull; the old file is untouched then.
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
    """Windows replaces no file that anybody has open; who reads one has done so in a moment."""
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
