"""What a backend may be able to do beyond `vm.backend.Backend`: one small Protocol for each.

A backend has a capability as an attribute, which is set when the backend is made and is None where
this computer, or the backend, lacks it. Code that uses a capability takes that object, and defines
what happens without it. Each docstring gives the order of calls. Next: `docs/dev/backends.md`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import Protocol

from vm.directory import MachineDir
from vm.errors import Problem
from vm.host.sparse import Report
from vm.messages import Text
from vm.types import BootOptions, DiskError, Forward, MachineSpec

type Forget = Callable[[], None]
type Lost = Callable[[int], None]
type Still = Callable[[], AbstractContextManager[None]]  # inside, the guest writes nothing
type Progress = Callable[[Text], None]  # gets a sentence; ends the call by raising


class Suspends(Protocol):
    """Saves a running machine to this computer's disk, and resumes it from there once.

    Order: the caller freezes the data disk through the guest agent, then calls `suspend`. The
    machine has no process then, and `observe` reports STOPPED. `resume` starts it from the saved
    state; the caller then thaws the disk and sets the clock. `Backend.start` discards a saved
    state, and so does `Pauses.resume`. `copy` runs while the machine is suspended, `restore` while
    it is stopped.
    """

    def suspend(self, directory: MachineDir) -> None:
        """Save the machine and end its process. Raises DiskFull, BackendFailed; the machine then
        runs on."""

    def is_suspended(self, directory: MachineDir) -> bool:
        """Whether there is a saved state that `resume` may use. Quick."""

    def resume(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        """Start the machine from its saved state and discard that state; returns once the guest
        executes. `options` are those of a start that changes nothing on the data disk.

        Raises NotResumable with the reason when anything differs from when the state was saved.
        No process runs then, and the data disk is untouched.
        """

    def copy(self, directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
        """Copy the saved state to `folder`, to be used with `disk`, a copy of the data disk. False
        where no saved state is valid. Raises DiskFull, OSError; the caller removes a partial
        `folder`."""

    def restore(self, directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
        """Copy the saved state in `folder` back, once the data disk is a copy of `disk`. False
        where either has been changed; the next start is cold then. Raises DiskFull, OSError."""


class BootCheckpoints(Protocol):
    """Starts a machine from a checkpoint of a guest that has booted but not touched its data disk.

    Order: `start` replaces `Backend.start`. After the console line "template" the guest waits for
    its boot files: the caller connects to `vm.guest.protocol.HANDOVER` and sends what `boot_files`
    returns. `forget` precedes a `Backend.start` that must not depend on an earlier start.
    """

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        """As `Backend.start`: resume a copy of the checkpoint if one fits, else boot and keep a
        checkpoint. Raises what `Backend.start` raises, and BootDied."""

    def boot_files(self, directory: MachineDir) -> bytes | None:
        """The message that the running guest waits for now or will wait for, None when it does not.
        It contains the time, so call this right before sending. Quick. Raises HomeUnusable."""

    def forget(self, directory: MachineDir) -> None:
        """Remove the checkpoint, and the record of failures that keeps one from being made."""


class Pauses(Protocol):
    """Halts the guest and lets it continue. Its process, memory and connections stay, and its clock
    stands still.

    Order: `pause`, then `resume`, each repeatable. `observe` reports PAUSED in between, also to a
    later supervisor. `Backend.stop` may be called while paused; the caller resumes first where the
    guest has to react.
    """

    def pause(self, directory: MachineDir) -> None:
        """Halt the guest; repeating it changes nothing. Raises NoMachine."""

    def resume(self, directory: MachineDir) -> None:
        """Let a paused guest continue; a running one is left alone. Raises NoMachine."""


class WakesOnTraffic(Protocol):
    """Reports traffic for a paused guest. Needs Pauses.

    Order: after `Pauses.pause`, `wait` in a thread; on True the caller calls `Pauses.resume`, and
    the guest receives what has arrived.
    """

    def wait(self, directory: MachineDir, listening: Callable[[], None]) -> bool:
        """Block until something arrives for the paused guest, at a forwarded port or on an open
        connection (True), or the machine ends (False).

        Nothing that arrives after the call of `listening` is missed. A guest that continues
        meanwhile may be reported or not. Raises BackendFailed.
        """


class ForwardsPorts(Protocol):
    """Forwards ports of this computer to ports of the guest.

    Order: while the machine runs, any number of `forward` and `unforward`; all forwards end with
    the machine. They outlive a supervisor: the next one calls `forwarded`. Addresses are IPv4.
    """

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        """Start forwarding; repeating it changes nothing. Raises PortInUse, NoMachine,
        BackendFailed."""

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        """Stop forwarding; does nothing where the port is not forwarded."""

    def forwarded(self, directory: MachineDir) -> frozenset[Forward]:
        """The current forwards, without the backend's own. Empty when nothing runs."""


class SharesFolders(Protocol):
    """Makes folders of this computer appear in the guest, as `MachineSpec.shares` lists them.

    Order: `probe` before `Backend.start` gets a spec with shares. `Observation.spec.shares` then
    lists those that are served, and `Observation.share_by` names the driver. `watch` runs in a
    thread from then on.
    """

    def probe(self, asked: str) -> Problem | None:
        """Why no folder can be shared by `asked` ("auto" or a kind such as "virtiofs" or "sftp"),
        or None. Quick."""

    def watch(self, directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
        """Call `forget` whenever the guest caches so many files of shared folders that the host
        may soon be unable to open more, and `lost` with the index, among the spec's shares, of a
        share that is no longer served. Returns when neither can happen any more, or `ended` is
        set."""


class GrowsDisk(Protocol):
    """Grows the data disk of a running machine; without it a disk grows at the next start.

    Order: `grow`, then the caller grows the file system through the guest.
    """

    def grow(self, directory: MachineDir, disk_bytes: int) -> None:
        """Make the data disk `disk_bytes` large. Raises NoMachine."""


class CopiesDisk(Protocol):
    """Copies the data disk at one moment, of a running machine too.

    Order: `drop` when a supervisor opens, for a copy whose caller has died; then any number of
    `copy`, one at a time.
    """

    def copy(self, directory: MachineDir, target: Path, still: Still, report: Report) -> None:
        """Make `target` the data disk as it is at one moment within `still()`, durably.

        A running machine continues; its writes stop for milliseconds only. `report` ends the copy
        by raising. Raises DiskFull, OSError; the caller removes a partial `target`.
        """

    def drop(self, directory: MachineDir) -> None:
        """End a copy whose caller has died; does nothing when there is none."""


class WatchesDiskErrors(Protocol):
    """Halts the guest when this computer's disk refuses a write, so that no write is lost.

    Order: `wait` in a thread as soon as the machine starts; when it returns an error, `resume`
    once the disk may take writes again, then `wait` again, until `wait` returns None.
    """

    def wait(self, directory: MachineDir) -> DiskError | None:
        """Block until the guest is halted by a write error, and return why; None when the machine
        has ended."""

    def resume(self, directory: MachineDir) -> None:
        """Let a guest that a write error has halted retry; any other is left alone."""


class Explains(Protocol):
    """Explains what works worse here than it could. Quick, and in any order."""

    def why_slow(self, directory: MachineDir) -> Problem | None:
        """Why the machine's starts take longer than they could on this computer, or None."""

    def why_only_root_writes(self, asked: str) -> Problem | None:
        """Why only the guest's root can write to folders that are shared by `asked`, or None."""
