"""Resumes a machine that was halted by an I/O error of this computer's disk.

The backend reports the error (`WatchesDiskErrors`); only then is the disk polled. On a full disk
the machine continues when there is free space again; after any other error it continues every
POLL seconds, until writes succeed. Each is a problem of its own. Next:
`guest_disk_space.py` (the machine's own disk), `vm/backends/qemu/io_error_watch.py`.
"""

import logging
import shutil
import threading
from collections.abc import Callable

from engine.messages.guest import HOST_DISK_FULL, HOST_DISK_REFUSES
from vm.backend import Backend
from vm.capabilities import WatchesDiskErrors
from vm.directory import MachineDir
from vm.errors import DiskFull, GalleyError, HostError, Problem
from vm.types import DiskError

log = logging.getLogger(__name__)

ENOUGH = 64 << 20  # bytes free; with less the guest would be halted again at once
POLL = 2.0  # seconds between two checks while the machine is halted
RECOVERED_AFTER = 2.0  # seconds without an error after which its problem is removed


class HostDiskSpace:
    """`on_change` is called from another thread. Any thread."""

    def __init__(
        self, directory: MachineDir, backend: Backend, on_change: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._backend = backend
        self._disk_errors = backend.watches_disk_errors
        self._on_change = on_change
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._recovery_timer: threading.Timer | None = None  # removes the problem
        self.problems: tuple[Problem, ...] = ()

    def follow(self, runs: bool) -> None:
        """Watch a running machine until it ends. Does nothing without `WatchesDiskErrors`."""
        errors = self._disk_errors
        if errors is None:
            return
        if runs and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(
                target=self._watch, args=(errors,), name="host-disk-space", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _watch(self, errors: WatchesDiskErrors) -> None:
        try:
            while error := errors.wait(self._directory):
                if self._closed.is_set():
                    return
                self._end_recovery()
                self._publish((_problem(self._directory, error),))
                self._wait_for_room()
                self._resume(errors, error)
        except GalleyError as failure:
            log.warning("I/O errors of this computer's disk are not watched: %s", failure)
        self._publish(())

    def _wait_for_room(self) -> None:
        """Returns after POLL seconds at the earliest, also where there is room: other errors are
        not retried at once."""
        while not self._closed.wait(POLL):
            if self._has_room() or self._backend.wait_stopped(self._directory, 0):
                return

    def _has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._directory.root).free >= ENOUGH
        except OSError:  # the disk fails, or its file server is unreachable
            return False

    def _resume(self, errors: WatchesDiskErrors, error: DiskError) -> None:
        """Continue the machine. If that fails, the backend reports the error again. After an error
        other than a full disk, only the next writes show whether the disk works again."""
        try:
            errors.resume(self._directory)
        except GalleyError as failure:
            log.warning("the machine cannot be resumed: %s %s", failure, failure.details)
            return
        if error is DiskError.NO_ROOM:
            self._publish(())
            return
        self._recovery_timer = threading.Timer(RECOVERED_AFTER, self._publish, [()])
        self._recovery_timer.name, self._recovery_timer.daemon = "host-disk-recovery", True
        self._recovery_timer.start()

    def _end_recovery(self) -> None:
        """Cancel the timer; it has published nothing after this returns."""
        if self._recovery_timer is not None:
            self._recovery_timer.cancel()
            self._recovery_timer.join()

    def _publish(self, problems: tuple[Problem, ...]) -> None:
        if problems != self.problems and not self._closed.is_set():
            self.problems = problems
            for problem in problems:
                log.warning("%s", problem.summary)
            self._on_change()


def _problem(directory: MachineDir, error: DiskError) -> Problem:
    if error is DiskError.NO_ROOM:
        return DiskFull(
            HOST_DISK_FULL,
            folder=directory.root,
        ).to_problem()
    return HostError(
        HOST_DISK_REFUSES,
        folder=directory.root,
    ).to_problem()
