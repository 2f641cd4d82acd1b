"""The monitors of one machine: its clock, its data disk, and this computer's disk below it.

Next: `guest_clock.py`, `guest_disk_space.py`, `host_disk_space.py`.
"""

from collections.abc import Callable

from engine.monitors.guest_clock import GuestClock
from engine.monitors.guest_disk_space import GuestDiskSpace
from engine.monitors.host_disk_space import HostDiskSpace
from vm.errors import Problem
from vm.lifecycle.machine import Machine
from vm.types import MachineState


class MachineMonitors:
    """`on_change`: the problems have changed. Any thread."""

    def __init__(self, machine: Machine, on_change: Callable[[], None]) -> None:
        self._machine = machine
        self._clock = GuestClock(machine.dial)
        self._guest_disk = GuestDiskSpace(machine.dial, on_change)
        self._host_disk = HostDiskSpace(machine.directory, machine.backend, on_change)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self._host_disk.problems, *self._guest_disk.problems)

    @property
    def stalled(self) -> tuple[Problem, ...]:
        """Why the machine stands still, if this computer's disk takes none of its writes."""
        return self._host_disk.problems

    def follow(self, state: MachineState) -> None:
        """The machine's state has changed. Returns at once."""
        is_running = state is MachineState.RUNNING
        self._clock.follow(is_running)
        self._guest_disk.follow(is_running)
        self._host_disk.follow(state.is_up or state is MachineState.STARTING)

    def set_clock(self) -> None:
        """Set the machine's clock now. Raises GalleyError."""
        self._clock.set_now()

    def grow_disk(self, disk_bytes: int) -> None:
        """Make the data disk of a running machine as large, if it is smaller. A failure is one of
        the problems until the next attempt."""
        self._guest_disk.grow(self._machine, disk_bytes)

    def close(self) -> None:
        """End the threads; the machine runs on."""
        self._clock.follow(False)
        self._guest_disk.follow(False)
        self._host_disk.close()
