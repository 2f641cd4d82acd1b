"""Snapshots of the whole machine: made while it runs, restored while it is stopped for that.

A snapshot is the data disk at one moment, with everything that Docker has. The machine goes on
while one is made; its file system is at rest for the moment that counts. May import: `vm`. Next:
`vm/snapshots.py` (how they lie on disk), `Backend.copy_disk` (how a disk is copied).
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vm import snapshots
from vm.errors import Cancelled, GalleyError
from vm.keeper import Keeper
from vm.machine import Machine
from vm.types import MachineSnapshot, MachineState, SnapshotWork

log = logging.getLogger(__name__)

UP = (MachineState.RUNNING, MachineState.PAUSED, MachineState.STARTING)


class Snapshots:
    """Each verb blocks until it is done and raises GalleyError; from any thread, one at a time."""

    def __init__(
        self, machine: Machine, start: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        self._machine = machine
        self._start = start
        self._changed = changed
        self._cancelled = threading.Event()
        self._was_still = False
        self.kept: tuple[MachineSnapshot, ...] = ()
        self.work: SnapshotWork | None = None

    def open(self) -> None:
        """See which there are, and take away what a crash has left."""
        directory = self._machine.directory
        if snapshots.sweep(directory):
            try:
                self._machine.backend.drop_copy(directory)
            except GalleyError as error:
                log.warning("a copy that was under way: %s", error)
        self.kept = snapshots.every(directory)

    def create(self, name: str) -> None:
        """A paused machine is woken for it: it could not bring its file system to rest."""
        snapshots.check_name(name)
        self._machine.wake()
        self._machine.occupy(lambda: self._create(name))

    def restore(self, name: str) -> None:
        """The machine's disk is exchanged; where it was running, it is started again."""
        snapshots.check_restore(self._machine.directory, name)
        was_up = self._machine.status.state in UP
        try:
            self._machine.exchange(lambda: self._restore(name))
        finally:
            if was_up:
                self._start()

    def delete(self, name: str) -> None:
        self._machine.occupy(lambda: self._delete(name))

    def delete_all(self) -> None:
        snapshots.delete_all(self._machine.directory)
        self._look()

    def cancel(self) -> None:
        """End a copy that is under way; it raises Cancelled at its caller. Else nothing."""
        self._cancelled.set()

    # --- in the machine's thread --------------------------------------------------------------

    def _create(self, name: str) -> None:
        with self._working(SnapshotWork(name, "create")):
            made = snapshots.create(self._machine.directory, name, self._fill)
        log.info("made the snapshot %s of %d bytes", name, made.used_bytes)

    def _restore(self, name: str) -> None:
        with self._working(SnapshotWork(name, "restore")):
            snapshots.restore(self._machine.directory, name, self._report)
            self._put_back_suspended(name)
        log.info("restored the snapshot %s", name)

    def _delete(self, name: str) -> None:
        snapshots.delete(self._machine.directory, name)
        self._look()

    def _fill(self, target: Path) -> bool:
        """A machine that is suspended is kept with its memory."""
        backend, directory = self._machine.backend, self._machine.directory
        self._was_still = True  # a machine that is stopped is not asked
        backend.copy_disk(directory, target, self._still, self._report)
        if self._machine.status.resumable:
            folder = directory.snapshot_suspended(target.parent.name)
            backend.keep_suspended(directory, target, folder, self._report)
        return self._was_still

    def _put_back_suspended(self, name: str) -> None:
        """Where it cannot be had, the machine has its disk, and starts from cold."""
        directory = self._machine.directory
        disk, folder = directory.snapshot_disk(name), directory.snapshot_suspended(name)
        if not folder.exists():
            return
        try:
            if self._machine.backend.put_back_suspended(directory, disk, folder, self._report):
                return
            log.warning("the memory in the snapshot %s has been changed", name)
        except (GalleyError, OSError) as error:
            log.warning("the snapshot %s without its memory: %s", name, error)

    @contextmanager
    def _still(self) -> Iterator[None]:
        """The guest's file system at rest. Where it cannot be, the copy is what a power cut would
        leave, which the journal is for, and the manifest says so."""
        keeper: Keeper | None = None
        self._was_still = self._machine.status.state not in UP
        if self._machine.status.state is MachineState.RUNNING:
            try:
                keeper = Keeper(self._machine.guest.dial)
                keeper.freeze()
                self._was_still = True
            except GalleyError as error:
                log.warning("the guest's disk is copied as it is: %s %s", error, error.details)
        try:
            yield
        finally:
            if keeper is not None:
                self._thaw(keeper)

    def _thaw(self, keeper: Keeper) -> None:
        """By itself it would take a minute."""
        try:
            keeper.thaw()
        except GalleyError as error:
            log.warning("the guest's disk was not thawed: %s %s", error, error.details)

    @contextmanager
    def _working(self, work: SnapshotWork) -> Iterator[None]:
        self._cancelled.clear()
        self.work = work
        self._changed()
        try:
            yield
        finally:
            self.work = None
            self._look()

    def _report(self, done: int, total: int) -> None:
        """Every hundredth is told."""
        if self._cancelled.is_set():
            raise Cancelled("The snapshot was cancelled.")
        work = self.work
        if work is None or (done - work.done_bytes) * 100 < total:
            return
        self.work = SnapshotWork(work.name, work.verb, done, total)
        self._changed()

    def _look(self) -> None:
        self.kept = snapshots.every(self._machine.directory)
        self._changed()
