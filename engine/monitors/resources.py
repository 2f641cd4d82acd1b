"""Reports and reclaims host memory and disk used by the VM. On request only; never polled.

Next: `vm/guest/agent.py`.
"""

import contextlib
from collections.abc import Callable

from engine.messages.engine import ENGINE_MACHINE_NOT_RUNNING
from engine.types import MachineUse, Reclaimed
from vm.errors import NoMachine
from vm.guest.agent import GuestAgent
from vm.host import process
from vm.lifecycle.machine import Machine
from vm.types import MachineState


class Resources:
    """Every call raises NoMachine, GuestUnreachable or MachineError."""

    def __init__(self, machine: Machine, keep_awake: Callable[[], Callable[[], None]]) -> None:
        """`keep_awake` resumes the machine until the function that it returns is called."""
        self._directory = machine.directory
        self._backend = machine.backend
        self._agent = GuestAgent(machine.dial)
        self._keep_awake = keep_awake

    def use(self) -> MachineUse:
        """What the machine uses now. Takes a few ms; does not wake a paused machine."""
        seen = self._backend.observe(self._directory)
        identity = process.identify(seen.pid) if seen.pid is not None else None
        if identity is None or seen.state is not MachineState.RUNNING:
            raise NoMachine(ENGINE_MACHINE_NOT_RUNNING)
        return MachineUse(
            memory=self._agent.memory(),
            memory_on_host=process.resident_bytes(identity),
            disk=self._agent.disk(),
            disk_on_host=self._directory.data_disk_bytes(),
        )

    def reclaim_disk(self) -> Reclaimed:
        """Return free blocks of the data disk to this computer. Takes seconds."""
        with contextlib.ExitStack() as held:
            held.callback(self._keep_awake())
            before = self._directory.data_disk_bytes()
            self._agent.trim()
            return Reclaimed(before, self._directory.data_disk_bytes())
