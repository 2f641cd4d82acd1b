"""What a backend must be.

A backend is a stateless set of functions over a `MachineDir`: it remembers nothing between calls,
it looks. Adding one is one file in `backends/` and one line in `backends/__init__.py`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Protocol

from vm.directory import MachineDir
from vm.errors import Problem
from vm.guest.protocol import Guest
from vm.host.sparse import Report
from vm.types import Address, DiskError, Features, Forward, MachineSpec, Observation

type Forget = Callable[[], None]
type Lost = Callable[[int], None]
type Still = Callable[[], AbstractContextManager[None]]  # in it the guest writes nothing


class Force(StrEnum):
    """How hard `Backend.stop` asks."""

    ASK = "ask"  # as if the power button were pressed
    QUIT = "quit"  # end the virtual machine at once; the guest does not notice
    KILL = "kill"  # end its process


class Backend(Protocol):
    """Every call may raise BackendFailed, ToolMissing; `observe` never does."""

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> Features: ...

    def probe(self) -> Problem | None:
        """Why this backend cannot be used here, or None. Quick; starts nothing."""

    def probe_shares(self, asked: str) -> Problem | None:
        """Why no folder of this host can be shared, by `asked` ("auto" or one of
        `Features.shares`), or None. Quick."""

    def probe_owners(self, asked: str) -> Problem | None:
        """Why only root of the guest's users can write to folders that are shared by `asked`, or
        None. Quick."""

    def create(self, directory: MachineDir, spec: MachineSpec) -> None:
        """Make what `start` needs (data disk, uuid). Doing it again changes nothing.

        Raises DiskFull. Grows the data disk when `spec` asks for more; never shrinks it.
        """

    def start(
        self,
        directory: MachineDir,
        spec: MachineSpec,
        guest_options: tuple[str, ...],
        progress: Callable[[str], None],
        *,
        afresh: bool = False,
    ) -> None:
        """Set the machine going and return once it executes; booting is `vm/lifecycle/steps.py`'s
        to watch.

        `guest_options` are words of the kernel command line (`galley.key=…`). The files in
        `directory.handover` are in the guest's /run/galley before anything there asks for them; a
        guest that waits for them is given `handover`. `progress` gets sentences about anything that
        takes over a second (the accelerator probe), and ends the start by raising. `afresh`:
        nothing is used, or kept, that would make this start quicker, or a later one.
        """

    def handover(self, directory: MachineDir) -> bytes | None:
        """What the running guest waits for at `vm.guest.protocol.HANDOVER`, or will, once its
        console says "template"; None when it does not. Quick. Raises HomeUnusable."""

    def why_slow(self, directory: MachineDir) -> Problem | None:
        """Why its starts take longer than they could here, or None. Quick."""

    def stop(self, directory: MachineDir, force: Force) -> None:
        """Ask or make the machine stop; returns at once. `wait_stopped` tells when it has."""

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        """Block until no machine runs; False after `timeout` seconds."""

    def pause(self, directory: MachineDir) -> None:
        """Halt the guest where it is (`Features.pause`); doing it again changes nothing. Its
        processes, memory and connections stay, and its clock stands still. Raises NoMachine."""

    def wake(self, directory: MachineDir) -> None:
        """Let a paused guest go on; one that runs is left alone. Raises NoMachine."""

    def wait_knock(self, directory: MachineDir, listening: Callable[[], None]) -> bool:
        """Block until somebody sends the paused guest something, to a forward or on a connection
        that is open (True), or the machine has ended (False). From `listening` on nobody is missed.
        A guest that goes on meanwhile may be told of, or not. Raises BackendFailed
        (`Features.knocks`)."""

    def suspend(self, directory: MachineDir) -> None:
        """Put the running machine on this computer's disk and end its process (`Features.suspend`).
        Its data disk must be still. Raises DiskFull, BackendFailed; then it runs on."""

    def is_suspended(self, directory: MachineDir) -> bool:
        """Whether something is there that `resume` may go on from. Quick."""

    def resume(
        self,
        directory: MachineDir,
        spec: MachineSpec,
        guest_options: tuple[str, ...],
        progress: Callable[[str], None],
    ) -> None:
        """Go on from where the machine was suspended, once; `start` instead makes that void.
        Raises NotResumable with the reason, when anything is not as it was; nothing runs then."""

    def grow(self, directory: MachineDir, disk_bytes: int) -> None:
        """Make the data disk of the running machine larger; its file system is the caller's to
        grow. Raises NoMachine."""

    def wait_disk_error(self, directory: MachineDir) -> DiskError | None:
        """Block until the machine stands still, for this computer's disk took no more of its data
        disk, and say why; None when it has ended."""

    def watch_crowd(self, directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
        """Call `forget` whenever the guest remembers so many files of shared folders that there
        could soon be too many to serve, and `lost` with the place among the spec's shares of one
        that is served no longer. Returns when neither can be any more, or `ended` is set."""

    def go_on(self, directory: MachineDir) -> None:
        """Let a machine that stands still for that try again; any other is left alone."""

    def delete(self, directory: MachineDir) -> None:
        """Remove everything `create` made. The machine must be stopped."""

    def copy_disk(self, directory: MachineDir, target: Path, still: Still, report: Report) -> None:
        """Make `target` the data disk as it is at one moment within `still()`, durably.

        A machine that runs goes on, and is still for milliseconds only. `report` ends the copy by
        raising. Raises DiskFull, OSError; a `target` that was begun is the caller's to remove.
        """

    def keep_suspended(
        self, directory: MachineDir, disk: Path, folder: Path, report: Report
    ) -> bool:
        """Copy a suspended machine to `folder`, beside `disk`, a copy of its data disk. False where
        nothing counts as suspended. Raises DiskFull, OSError; what was begun is the caller's."""

    def put_back_suspended(
        self, directory: MachineDir, disk: Path, folder: Path, report: Report
    ) -> bool:
        """The way back, once the data disk is a copy of `disk`. False where `folder` or `disk` has
        been changed; then the machine starts from cold. Raises DiskFull, OSError."""

    def drop_copy(self, directory: MachineDir) -> None:
        """End a copy whose caller has died; nothing happens when there is none."""

    def observe(self, directory: MachineDir) -> Observation:
        """Look at the world and prove identity. Never raises, never waits over two seconds."""

    def guest(self, directory: MachineDir, address: Address) -> Guest:
        """The way into the running machine. Connects to nothing yet."""

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        """Carry a host port (`Features.forwards`). Raises PortInUse. Doing it twice is one."""

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        """Stop carrying it; nothing happens when it was not carried."""

    def forwarded(self, directory: MachineDir) -> frozenset[Forward]:
        """What is carried now, the ssh port not counted."""
