"""A full disk of this computer: the machine stands still, and goes on when there is room again.

The backend tells when it comes to that (`WatchesDiskErrors`); only then anybody looks. A disk
that refuses for another reason is asked again and again, with a word of its own for it. Next:
`guest_disk_space.py` (the machine's own disk), `vm/backends/qemu/io_error_watch.py`.
"""

import logging
import shutil
import threading
from collections.abc import Callable

from vm.backend import Backend
from vm.capabilities import WatchesDiskErrors
from vm.directory import MachineDir
from vm.errors import DiskFull, GalleyError, HostError, Problem
from vm.types import DiskError

log = logging.getLogger(__name__)

ENOUGH = 64 << 20  # bytes; a guest that goes on for less only stands still again
LOOK = 2.0  # seconds between two looks while it is full
CALM = 2.0  # seconds in which a disk that refused does so no more: it is well again


class HostRoom:
    """`follow` from any thread; `on_change` is called from its own."""

    def __init__(
        self, directory: MachineDir, backend: Backend, on_change: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._backend = backend
        self._disk_errors = backend.watches_disk_errors
        self._on_change = on_change
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._calm: threading.Timer | None = None  # until its problem is over
        self.problems: tuple[Problem, ...] = ()

    def follow(self, runs: bool) -> None:
        """Watch a machine that runs; it is watched to its end. Nothing is, without the backend's
        word."""
        errors = self._disk_errors
        if errors is None:
            return
        if runs and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(
                target=self._watch, args=(errors,), name="host-room", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _watch(self, errors: WatchesDiskErrors) -> None:
        try:
            while error := errors.wait(self._directory):
                if self._closed.is_set():
                    return
                self._end_calm()
                self._say((_problem(self._directory, error),))
                self._wait_for_room()
                self._go_on(errors, error)
        except GalleyError as failure:
            log.warning("a full disk of this computer would not be noticed: %s", failure)
        self._say(())

    def _wait_for_room(self) -> None:
        """At least one look's time: a disk that fails for another reason is not asked at once."""
        while not self._closed.wait(LOOK):
            if self._has_room() or self._backend.wait_stopped(self._directory, 0):
                return

    def _has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._directory.root).free >= ENOUGH
        except OSError:  # it fails, or the server that it is on is away
            return False

    def _go_on(self, errors: WatchesDiskErrors, error: DiskError) -> None:
        """A machine that does not hear stands still, which the backend tells again. Whether a disk
        that refused takes something now, only its next writes show."""
        try:
            errors.resume(self._directory)
        except GalleyError as failure:
            log.warning("the machine cannot be told to go on: %s %s", failure, failure.details)
            return
        if error is DiskError.NO_ROOM:
            self._say(())
            return
        self._calm = threading.Timer(CALM, self._say, [()])
        self._calm.name, self._calm.daemon = "host-room-calm", True
        self._calm.start()

    def _end_calm(self) -> None:
        """What it says, it has said when this returns."""
        if self._calm is not None:
            self._calm.cancel()
            self._calm.join()

    def _say(self, problems: tuple[Problem, ...]) -> None:
        if problems != self.problems and not self._closed.is_set():
            self.problems = problems
            for problem in problems:
                log.warning("%s", problem.summary)
            self._on_change()


def _problem(directory: MachineDir, error: DiskError) -> Problem:
    if error is DiskError.NO_ROOM:
        return DiskFull(
            "This computer's disk is full: the virtual machine waits until there is room.",
            f"Free some space on the disk that holds {directory.root}; the machine goes on by "
            "itself.",
        ).to_problem()
    return HostError(
        "This computer's disk refuses what the virtual machine writes. The machine waits, and "
        "tries again.",
        f"Look at the disk that holds {directory.root}: it may be failing, or your quota on it may "
        "be used up.",
    ).to_problem()
