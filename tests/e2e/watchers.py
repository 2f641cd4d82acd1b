"""Debian's inotifywait in a container, which reports the events of a host folder that it sees."""

import itertools
import shutil
import subprocess
import tarfile
import threading
import time
from io import BytesIO
from pathlib import Path

from tests.e2e.galley import busybox_tar
from tests.e2e.pythons import libraries_of

WATCHER = "galley-watcher"  # the image
PATIENCE = 60.0  # seconds; only a test that fails waits so long
NUMBERS = itertools.count()
KINDS = "modify,attrib,close_write,move,create,delete,delete_self,move_self"


def watcher_tar() -> bytes:
    """Its program and libraries beside busybox."""
    program = Path(shutil.which("inotifywait") or "inotifywait")
    buffer = BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        tar.add(program.resolve(), "bin/inotifywait")
        for needed in libraries_of(program):
            tar.add(needed.resolve(), str(needed))
    return buffer.getvalue()


class Watcher:
    """Watches `folder` as /x from its start; `lines` is its output, "KIND /x/path"."""

    def __init__(self, docker_host: str, folder: Path, *words: str, mode: str = "rw") -> None:
        """`words`: inotifywait's options and paths; by default all of /x, recursively."""
        watch = ["inotifywait", "-m", "-e", KINDS, "--format", "%e %w%f", *(words or ("-r", "/x"))]
        self._docker = ["docker", "-H", docker_host]
        self._name = f"watcher{next(NUMBERS)}"
        run = [*self._docker, "run", "--rm", "--name", self._name, "-v", f"{folder}:/x:{mode}"]
        self.lines: list[str] = []
        self.times: list[float] = []  # when each line arrived, `time.monotonic`
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [*run, WATCHER, *watch],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="watcher", daemon=True)
        self._reader.start()
        self.wait_for("Watches established.")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.strip())
                self.times.append(time.monotonic())
                self._changed.notify_all()

    def wait_for(self, line: str, seconds: float = PATIENCE) -> float:
        """The time at which the line was first reported."""
        if not self.reports(line, seconds):
            raise AssertionError(f"not reported: {line}\n" + "\n".join(self.lines[-30:]))
        return self.times[self.lines.index(line)]

    def reports(self, line: str, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: line in self.lines, seconds)

    def take_until(self, last: str) -> list[str]:
        """Takes the lines before `last` out of `lines`, and `last` too."""
        self.wait_for(last)
        with self._changed:
            at = self.lines.index(last)
            taken = self.lines[:at]
            self.lines, self.times = self.lines[at + 1 :], self.times[at + 1 :]
        return taken

    def forget(self) -> None:
        """Drops all lines reported so far."""
        with self._changed:
            self.lines, self.times = [], []

    def close(self) -> None:
        subprocess.run([*self._docker, "rm", "-f", self._name], capture_output=True, check=True)
        self._process.wait(PATIENCE)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
