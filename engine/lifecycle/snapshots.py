"""Snapshots of the whole machine: made while it runs, restored while it is stopped for that.

A snapshot is the data disk at one moment, with everything that Docker has. The machine keeps
running while one is made; its file system is frozen for the moment of the copy. For a snapshot with
memory a running machine is suspended, copied, and resumed. Next: `vm/lifecycle/snapshots.py` (how
they lie on disk), `vm.capabilities.CopiesDisk` (how a disk is copied).
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.stopping import StopSequence
from engine.messages.engine import (
    ENGINE_BUSY,
    SNAPSHOT_CANCELLED,
    SNAPSHOT_IMPOSSIBLE,
    SNAPSHOT_NO_MEMORY,
    SNAPSHOT_WITHOUT_MEMORY,
)
from vm import last_spec
from vm.capabilities import CopiesDisk
from vm.errors import Cancelled, GalleyError, MachineBusy, SnapshotRefused
from vm.guest.agent import GuestAgent
from vm.lifecycle import snapshots
from vm.lifecycle.machine import Machine
from vm.types import MachineSnapshot, MachineSpec, MachineState, SnapshotStep, SnapshotWork

log = logging.getLogger(__name__)

UP = (MachineState.RUNNING, MachineState.PAUSED, MachineState.STARTING)
BUSY = (MachineState.STARTING, MachineState.STOPPING)  # a start or stop is under way


class Snapshots:
    """Each verb blocks until it is done and raises GalleyError; from any thread, one at a time."""

    def __init__(
        self,
        machine: Machine,
        stop_sequence: StopSequence,
        saver: ResourceSaver,
        changed: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._stop_sequence = stop_sequence
        self._saver = saver
        self._start: Callable[[], None]
        self._changed = changed
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._was_frozen = False
        self.kept: tuple[MachineSnapshot, ...] = ()
        self.work: SnapshotWork | None = None

    def open(self, start: Callable[[], None]) -> None:
        """List the snapshots, and remove what a crash has left. `start` starts the machine."""
        self._start = start
        directory = self._machine.directory
        copies = self._machine.backend.copies_disk
        if snapshots.sweep(directory) and copies is not None:
            try:
                copies.drop(directory)
            except GalleyError as error:
                log.warning("a copy that was under way: %s", error)
        self.kept = snapshots.every(directory)

    def no_memory(self) -> SnapshotRefused | None:
        """Why a snapshot could not include the memory now."""
        status = self._machine.status
        if status.resumable:
            return None
        if (obstacle := self._stop_sequence.obstacle()) is not None:
            return SnapshotRefused(SNAPSHOT_WITHOUT_MEMORY, reason=obstacle)
        return None if status.state.is_up or status.state in BUSY else _nothing_in_memory()

    def create(self, name: str, *, memory: bool = False) -> None:
        """`memory`: include the memory. A running machine is suspended for that, and resumed. A
        suspended one is saved with its memory in any case, and stays suspended. Raises MachineBusy
        while the machine starts or stops: suspending or resuming it would interfere with that."""
        with self._lock:
            self._copies()  # fail before anything is changed
            snapshots.check_new(self._machine.directory, name)
            if memory and (refusal := self.no_memory()) is not None:
                raise refusal
            state = self._machine.status.state
            if memory and state in BUSY:
                raise MachineBusy(ENGINE_BUSY, state=state)
            if memory and state.is_up:
                self._create_suspended(name)
                return
            self._machine.wake()  # a paused guest could not freeze its file system
            self._machine.run_exclusive(lambda: self._create(name, memory))

    def restore(self, name: str, *, cold: bool = False) -> None:
        """Replaces the machine's disk; a machine that was running is started again. `cold`: boot
        it, even if the snapshot has its memory."""
        was_up = False
        try:
            with self._lock:
                snapshots.check_restore(self._machine.directory, name)
                was_up = self._machine.status.state in UP
                self._machine.replace_files(lambda: self._restore(name, cold))
        finally:
            if was_up:
                self._start()

    def delete(self, name: str) -> None:
        with self._lock:
            self._machine.run_exclusive(lambda: self._delete(name))

    def delete_all(self) -> None:
        snapshots.delete_all(self._machine.directory)
        self._list_again()

    def cancel(self) -> None:
        """Cancel a copy that is under way: its caller gets Cancelled. Does nothing without one."""
        self._cancelled.set()

    def _create_suspended(self, name: str) -> None:
        """The machine is resumed before this returns or raises."""
        work = SnapshotWork(name, "create", step=SnapshotStep.SUSPEND)
        with self._working(work), self._saver.suspended_meanwhile():
            self._stop_sequence.run_suspended(
                self._check_cancelled, lambda: self._copy_suspended(name)
            )

    # --- in the machine's thread --------------------------------------------------------------

    def create_before_boot(self, name: str) -> None:
        """Of a machine that is off and about to boot."""
        snapshots.check_new(self._machine.directory, name)
        self._copies()
        self._create(name, False)

    def restore_before_boot(self, name: str) -> None:
        """In a machine that is off and about to boot, without the memory in the snapshot."""
        snapshots.check_restore(self._machine.directory, name)
        self._restore(name, True)

    def _copy_suspended(self, name: str) -> None:
        try:
            self._make(name, True)
        finally:
            self._set_step(SnapshotStep.GO_ON)

    def _create(self, name: str, memory: bool) -> None:
        with self._working(SnapshotWork(name, "create")):
            self._make(name, memory)

    def _make(self, name: str, memory: bool) -> None:
        directory = self._machine.directory
        made = snapshots.create(directory, name, lambda target: self._fill(target, memory))
        log.info("made the snapshot %s of %d bytes", name, made.used_bytes)

    def _restore(self, name: str, cold: bool) -> None:
        with self._working(SnapshotWork(name, "restore")):
            snapshots.restore(self._machine.directory, name, self._report)
            if not cold:
                self._put_back_suspended(name)
        log.info("restored the snapshot %s", name)

    def _delete(self, name: str) -> None:
        snapshots.delete(self._machine.directory, name)
        self._list_again()

    def _fill(self, target: Path, memory: bool) -> bool:
        """A suspended machine is saved with its memory, whose absence is an error if `memory` is
        requested."""
        suspends, directory = self._machine.backend.suspends, self._machine.directory
        self._was_frozen = True  # holds for a stopped machine
        self._set_step(SnapshotStep.DISK)
        self._check_cancelled()
        self._copies().copy(directory, target, self._frozen, self._report)
        self._check_cancelled()  # the last report may be long ago
        kept = False
        if self._machine.status.resumable and suspends is not None:
            self._set_step(SnapshotStep.MEMORY)
            folder = directory.snapshot_suspended(target.parent.name)
            kept = suspends.copy(directory, target, folder, self._report)
        if memory and not kept:
            raise _nothing_in_memory()
        return self._was_frozen

    def _copies(self) -> CopiesDisk:
        """Raises SnapshotRefused."""
        copies = self._machine.backend.copies_disk
        if copies is None:
            raise SnapshotRefused(SNAPSHOT_IMPOSSIBLE)
        return copies

    def _put_back_suspended(self, name: str) -> None:
        """If the memory cannot be restored, the machine has its disk only, and boots."""
        suspends, directory = self._machine.backend.suspends, self._machine.directory
        disk, folder = directory.snapshot_disk(name), directory.snapshot_suspended(name)
        if suspends is None or not folder.exists():
            return
        self._set_step(SnapshotStep.MEMORY)
        try:
            if suspends.restore(directory, disk, folder, self._report):
                self._keep_image(name)
                return
            log.warning("the memory in the snapshot %s has been changed", name)
        except (GalleyError, OSError) as error:
            log.warning("the snapshot %s without its memory: %s", name, error)

    def _keep_image(self, name: str) -> None:
        """The memory resumes only with its image, which the last spec names. The rest of the spec
        is unknown, and a disk of 0 bytes makes the next start fit the file system to its disk."""
        directory = self._machine.directory
        if image := snapshots.find(directory, name).image:
            spec = MachineSpec(1, 0, 0, str(directory.home.images / image))
            last_spec.keep(directory, spec)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """Freeze the guest's file system. If that fails, the copy is like a disk after a power cut,
        which the journal repairs, and the manifest records it."""
        agent: GuestAgent | None = None
        self._was_frozen = self._machine.status.state not in UP
        if self._machine.status.state is MachineState.RUNNING:
            try:
                agent = GuestAgent(self._machine.guest.dial)
                agent.freeze()
                self._was_frozen = True
            except GalleyError as error:
                log.warning("the guest's disk is copied as it is: %s %s", error, error.details)
        try:
            yield
        finally:
            if agent is not None:
                self._thaw(agent)

    def _thaw(self, agent: GuestAgent) -> None:
        """Without this the guest agent thaws it only after a minute."""
        try:
            agent.thaw()
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
            self._list_again()

    def _report(self, done: int, total: int) -> None:
        """Publishes every hundredth."""
        self._check_cancelled()
        work = self.work
        if work is None or (done - work.done_bytes) * 100 < total:
            return
        self.work = SnapshotWork(work.name, work.verb, done, total, work.step)
        self._changed()

    def _set_step(self, step: SnapshotStep) -> None:
        if self.work is not None and self.work.step is not step:
            self.work = SnapshotWork(self.work.name, self.work.verb, step=step)
            self._changed()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled(SNAPSHOT_CANCELLED)

    def _list_again(self) -> None:
        self.kept = snapshots.every(self._machine.directory)
        self._changed()


def _nothing_in_memory() -> SnapshotRefused:
    return SnapshotRefused(
        SNAPSHOT_NO_MEMORY,
    )
