"""A Windows for tests: CPython for Windows, with Galley's packages, under Wine.

    with running_windows() as windows:
        windows.python("-c", "import winreg")

The build (`build.py`) takes a minute and stays in this user's cache, in a folder named by the hash
of its inputs (`recipe.py`), so a changed input causes a new build. Each session begins with the
registry of a new installation. No screen is needed, and no process is left running.
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
REGISTRY = "*.reg"  # the registry's files in the prefix


class Done(NamedTuple):
    code: int
    output: str
    errors: str


class Windows:
    """`folder`: the result of `build.py`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.prefix = folder / "prefix"
        self.python_exe = folder / "Python 3.13" / "python.exe"
        self._user: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a program. Only PATH is the host's, so that tests run alike everywhere."""
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
        """Start a program by its path on the host, or by its name in Windows' own folders."""
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
        """stderr goes to a file, because services that Wine starts meanwhile keep it open."""
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
            stderr = errors.read().decode(errors="replace")
        return Done(started.returncode, output.decode(), stderr)

    def python(self, *words: str, given: str = "", **environment: str) -> Done:
        return self.run(self.python_exe, *words, given=given, **environment)

    def output_of(self, program: str, *words: str, **environment: str) -> str:
        """Output of a few lines of Python. A warning or an error is a failure."""
        done = self.python("-W", "error", "-c", program, *words, **environment)
        assert (done.code, done.errors) == (0, ""), done
        return done.output.replace("\r\n", "\n")

    def reset_registry(self) -> None:
        """Restore the registry of a new installation. Logs out first."""
        self.log_out()
        for file in (self._folder / "new").glob(REGISTRY):
            shutil.copy2(file, self.prefix / file.name)

    def log_in(self) -> None:
        """Start the programs of the Run key, and Wine's own services, which would otherwise start
        with the first program and keep its output open."""
        self.log_out()
        self._quietly("wine", "wineboot")
        self._user = subprocess.Popen(
            ["wine", "cmd"],  # the services end with the last program: this one only waits
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )

    def log_out(self) -> None:
        """End every program, which writes the registry to the disk."""
        self._quietly("wineserver", "--kill")
        if self._user is not None:
            self._user.communicate(timeout=PATIENCE)
            self._user = None

    def _quietly(self, *words: str) -> None:
        """Ignores the exit code, which reports a server that is to be ended but does not run."""
        null = subprocess.DEVNULL
        subprocess.run(
            words, stdin=null, stdout=null, stderr=null, env=self.environment, timeout=PATIENCE
        )


@contextlib.contextmanager
def running_windows() -> Iterator[Windows]:
    """A Windows that runs; one at a time for each user."""
    cache = Path(platformdirs.user_cache_dir("galley", False), "windows")
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        windows = Windows(_built(cache))
        windows.reset_registry()
        windows.log_in()
        try:
            yield windows
        finally:
            windows.log_out()


def _built(cache: Path) -> Path:
    folder = cache / recipe.key()
    if not folder.exists():
        for old in filter(Path.is_dir, cache.iterdir()):
            shutil.rmtree(old)
        building = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
        windows = Windows(building)
        build.make_python(windows.python_exe.parent)
        build.make_prefix(windows.environment)
        (building / "new").mkdir()
        for file in windows.prefix.glob(REGISTRY):
            shutil.copy2(file, building / "new")
        building.rename(folder)
    return folder


def windows_path(path: Path) -> str:
    """Of a host file: Wine shows the host's root as drive Z."""
    return f"Z:{path}".replace("/", "\\")
