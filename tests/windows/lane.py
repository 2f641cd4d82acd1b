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
from typing import NamedTuple

import platformdirs

from tests.windows import build, recipe
from vm.host.lock import FileLock

CHECKOUT = recipe.HERE.parents[1]
PATIENCE = 60.0  # seconds for a program on Windows
LINGERING = 60  # seconds that Wine's own server waits for the next program
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

    @property
    def environment(self) -> dict[str, str]:
        """Of a program. Nothing but PATH is the computer's, so that tests are alike everywhere."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder / "home"),
            "LANG": "C.UTF-8",
            "WINEPREFIX": str(self.prefix),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
            "PYTHONPATH": windows_path(CHECKOUT),
            # Python for Linux writes files of the same names into the checkout.
            "PYTHONPYCACHEPREFIX": windows_path(self._folder / "pycache"),
        }

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        """A program by the path that it has here, or by its name in Windows' own folders."""
        return subprocess.Popen(
            ["wine", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **environment},
        )

    def run(self, *words: str | Path, given: str = "", **environment: str) -> Done:
        with self.start(*words, **environment) as started:
            try:
                output, errors = started.communicate(given.encode(), PATIENCE)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
        return Done(started.returncode, output.decode(), errors.decode(errors="replace"))

    def python(self, *words: str, given: str = "", **environment: str) -> Done:
        return self.run(self.python_exe, *words, given=given, **environment)

    def says(self, program: str, *words: str, **environment: str) -> str:
        """What a few lines of Python print there. Anything that they complain of is a failure."""
        done = self.python("-W", "error", "-c", program, *words, **environment)
        assert (done.code, done.errors) == (0, ""), done
        return done.output.replace("\r\n", "\n")

    def log_in(self) -> None:
        """As it is when the user comes: what starts at login is started."""
        self._server("--kill")
        self.run("wineboot")

    def be_new(self) -> None:
        """Forget what anybody has written to the registry."""
        self._server("--kill")
        for kept in (self._folder / "new").glob(REGISTRY):
            shutil.copy2(kept, self.prefix / kept.name)
        self._server(f"--persistent={LINGERING}")

    def end(self) -> None:
        self._server("--kill")

    def _server(self, order: str) -> None:
        """One that is to be ended may not be there, and says so by its exit code."""
        subprocess.run(["wineserver", order], env=self.environment, timeout=PATIENCE)


@contextlib.contextmanager
def a_windows() -> Iterator[Windows]:
    """One at a time of this user's."""
    cache = Path(platformdirs.user_cache_dir("galley", False), "windows")
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        windows = Windows(_made(cache))
        windows.be_new()
        try:
            yield windows
        finally:
            windows.end()


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
