"""A Windows for tests: CPython for Windows, with Galley's packages, under Wine.

    with a_windows() as windows:
        windows.python("-c", "import winreg")

What takes a minute to make (`build.py`) stays in this user's cache, in a folder named by the hash
of what it is made of (`recipe.py`), so that another one is made when anything of it changes. Each
session finds the registry as it was made. No screen is needed, and nothing is left running.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import platformdirs

from tests.windows import build, recipe
from vm.host.lock import FileLock

CHECKOUT = recipe.HERE.parents[1]
PATIENCE = 40.0  # seconds for a program on Windows
REGISTRY = "*.reg"  # the files, in the prefix, that hold it


class Done(NamedTuple):
    code: int
    output: str
    errors: str


class Windows:
    """`folder`: what `build.py` has made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.prefix = folder / "prefix"
        self.python_exe = folder / "Python 3.13" / "python.exe"
        self._user: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Of a program. Nothing but PATH is the computer's, so that tests are alike everywhere."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder / "home"),
            "LANG": "C.UTF-8",
            "WINEPREFIX": str(self.prefix),
            "WINEDEBUG": "-all",
            # No .NET, no browser, no desktop, no screen.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe,winewayland.drv,winex11.drv=",
            "PYTHONPATH": windows_path(CHECKOUT),
            # Python for Linux writes files of the same names into the checkout.
            "PYTHONPYCACHEPREFIX": windows_path(self._folder / "pycache"),
        }

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        """A program by the path that it has here, or by its name in Windows' own folders."""
        return self._start(words, environment, subprocess.DEVNULL)

    def _start(
        self, words: tuple[str | Path, ...], environment: dict[str, str], errors: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["wine", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**self.environment, **environment},
        )

    def run(self, *words: str | Path, given: str = "", **environment: str) -> Done:
        """Errors go to a file, for services that Wine starts meanwhile keep them open."""
        with (
            tempfile.TemporaryFile() as errors,
            self._start(words, environment, errors) as started,
        ):
            try:
                output, _ = started.communicate(given.encode(), PATIENCE)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        return Done(started.returncode, output.decode(), said)

    def python(self, *words: str, given: str = "", **environment: str) -> Done:
        return self.run(self.python_exe, *words, given=given, **environment)

    def says(self, program: str, *words: str, **environment: str) -> str:
        """What a few lines of Python print there. Anything that they complain of is a failure."""
        done = self.python("-W", "error", "-c", program, *words, **environment)
        assert (done.code, done.errors) == (0, ""), done
        return done.output.replace("\r\n", "\n")

    def forget(self) -> None:
        """Whatever anybody has written to the registry. Nobody is logged in then."""
        self.log_out()
        for kept in (self._folder / "new").glob(REGISTRY):
            shutil.copy2(kept, self.prefix / kept.name)

    def log_in(self) -> None:
        """What starts at login is started, and Wine's own services, which would otherwise come with
        the first program and keep its output open."""
        self.log_out()
        self._quietly("wine", "wineboot")
        self._user = subprocess.Popen(
            ["wine", "cmd"],  # they end with the last program, so there is one that only waits
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )

    def log_out(self) -> None:
        """Every program ends, and the registry is on the disk."""
        self._quietly("wineserver", "--kill")
        if self._user is not None:
            self._user.communicate(timeout=PATIENCE)
            self._user = None

    def _quietly(self, *words: str) -> None:
        """A server that is to be ended may not be there; its exit code says so."""
        null = subprocess.DEVNULL
        subprocess.run(
            words, stdin=null, stdout=null, stderr=null, env=self.environment, timeout=PATIENCE
        )


@contextlib.contextmanager
def a_windows() -> Iterator[Windows]:
    """One at a time of this user's."""
    cache = Path(platformdirs.user_cache_dir("galley", False), "windows")
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        windows = Windows(_made(cache))
        windows.forget()
        windows.log_in()
        try:
            yield windows
        finally:
            windows.log_out()


def _made(cache: Path) -> Path:
    folder = cache / recipe.key()
    if not folder.exists():
        for old in filter(Path.is_dir, cache.iterdir()):
            shutil.rmtree(old)
        making = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
        windows = Windows(making)
        build.make_python(windows.python_exe.parent)
        build.make_prefix(windows.environment)
        (making / "new").mkdir()
        for written in windows.prefix.glob(REGISTRY):
            shutil.copy2(written, making / "new")
        making.rename(folder)
    return folder


def windows_path(path: Path) -> str:
    """Of a file here: Wine shows all of this computer as a drive."""
    return f"Z:{path}".replace("/", "\\")
