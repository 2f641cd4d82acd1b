"""A full disk of this computer: the machine stands still, and goes on when there is room again.

The backend tells when it comes to that (`Backend.wait_disk_error`); only then anybody looks. A disk
that refuses for another reason is asked again and again, with a word of its own for it.
May import: `vm`. Next: `disk_room.py` (the machine's own disk), `vm/backends/qemu/stall.py`.
"""

import logging
import shutil
import threading
from collections.abc import Callable

from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import DiskFull, GalleyError, HostError, Problem
from vm.types import DiskError

log = logging.getLogger(__name__)

ENOUGH = 64 << 20  # bytes; a guest that goes on for less only stands still again
LOOK = 2.0  # seconds between two looks while it is full


class HostRoom:
    """`follow` from any thread; `on_change` is called from one of its own."""

    def __init__(
        self, directory: MachineDir, backend: Backend, on_change: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._backend = backend
        self._on_change = on_change
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.problems: tuple[Problem, ...] = ()

    def follow(self, runs: bool) -> None:
        """Watch a machine that runs; it is watched to its end."""
        if runs and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._watch, name="host-room", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        try:
            while error := self._backend.wait_disk_error(self._directory):
                if self._closed.is_set():
                    return
                log.warning("this computer's disk (%s): the machine stands still", error)
                self._say((_problem(self._directory, error),))
                self._wait_for_room()
                self._backend.go_on(self._directory)
                self._say(())
        except GalleyError as error:
            log.warning("a full disk of this computer would not be noticed: %s", error)
        self._say(())

    def _wait_for_room(self) -> None:
        """At least one look's time: a disk that fails for another reason is not asked at once."""
        while not self._closed.wait(LOOK):
            if shutil.disk_usage(self._directory.root).free >= ENOUGH:
                return
            if self._backend.wait_stopped(self._directory, 0):
                return

    def _say(self, problems: tuple[Problem, ...]) -> None:
        if problems != self.problems and not self._closed.is_set():
            self.problems = problems
            self._on_change()


def _problem(directory: MachineDir, error: DiskError) -> Problem:
    if error is DiskError.NO_ROOM:
        return DiskFull(
            "This computer's disk is full: the virtual machine waits until there is room.",
            f"Free some space on the disk that holds {directory.root}; the machine goes on by "
            "itself.",
        ).to_problem()
    return HostError(
        "This computer's disk refuses what the virtual machine writes, which waits and tries "
        "again.",
        f"Look after the disk that holds {directory.root}: it may fail, or its quota be used up.",
    ).to_problem()
