"""The interface of every backend: the ten members of `Backend`. Optional capabilities are in
`vm/capabilities.py`.

A backend is a stateless set of functions over a `MachineDir`: it keeps nothing between calls, and
observes the machine instead. Adding one is one package in `backends/` and one line in its
`__init__.py`. The order of calls is in `docs/dev/backends.md`.
"""

from enum import StrEnum
from typing import Protocol

from vm.capabilities import (
    BootCheckpoints,
    CopiesDisk,
    Explains,
    ForwardsPorts,
    GrowsDisk,
    Pauses,
    Progress,
    SharesFolders,
    Suspends,
    WakesOnTraffic,
    WatchesDiskErrors,
)
from vm.directory import MachineDir
from vm.errors import Problem
from vm.guest.protocol import Guest
from vm.types import Address, BootOptions, Features, MachineSpec, Observation


class Force(StrEnum):
    """The means of `Backend.stop`."""

    ASK = "ask"  # as if the power button were pressed
    QUIT = "quit"  # end the virtual machine at once; the guest does not notice
    KILL = "kill"  # end its process


class Backend(Protocol):
    """Every call may raise BackendFailed, ToolMissing; `observe` never does.

    An implementation inherits from this class: the capabilities that it does not set are None. It
    sets them when it is made and never changes them.
    """

    suspends: Suspends | None = None
    boot_checkpoints: BootCheckpoints | None = None
    pauses: Pauses | None = None
    wakes_on_traffic: WakesOnTraffic | None = None
    forwards_ports: ForwardsPorts | None = None
    shares_folders: SharesFolders | None = None
    grows_disk: GrowsDisk | None = None
    copies_disk: CopiesDisk | None = None
    watches_disk_errors: WatchesDiskErrors | None = None
    explains: Explains | None = None

    @property
    def name(self) -> str:
        """As in the setting `backend`: one lower-case word."""

    @property
    def features(self) -> Features:
        """What the host has to prepare differently for this backend."""

    def probe(self) -> Problem | None:
        """Why this backend cannot be used here, or None. Quick; starts nothing."""

    def create(self, directory: MachineDir, spec: MachineSpec) -> None:
        """Make what `start` needs (data disk, uuid). Repeating it changes nothing.

        Raises DiskFull. Grows the data disk when `spec` has a larger one; never shrinks it.
        """

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        """Start the machine cold and return once the guest executes; `vm/lifecycle/boot_steps.py`
        follows the boot.

        The files in `directory.boot_files` are in the guest's /run/galley before any program there
        reads them. `progress` gets a sentence for anything that takes over a second (the
        accelerator probe), and ends the start by raising. Discards a suspended state. Raises
        NoMachine before `create`, MachineBusy when it runs, NotEnough, ImageDamaged.
        """

    def stop(self, directory: MachineDir, force: Force) -> None:
        """Request or force a stop; returns at once. `wait_stopped` waits for the end."""

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        """Block until no machine runs; False after `timeout` seconds."""

    def delete(self, directory: MachineDir) -> None:
        """Remove everything `create` made. Raises MachineBusy unless the machine is stopped."""

    def observe(self, directory: MachineDir) -> Observation:
        """The machine's current state, of a process that is proven to be the machine's. Never
        raises, never waits over two seconds."""

    def guest(self, directory: MachineDir, address: Address) -> Guest:
        """A client for the inside of the running machine. Does not connect yet."""
