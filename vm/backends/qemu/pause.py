"""Halts the guest's vCPUs, and lets them continue. Next: `running.py`."""

from vm.backends.qemu import running
from vm.backends.qemu.state import suspend
from vm.capabilities import Pauses
from vm.directory import MachineDir


class Pause(Pauses):
    """QEMU's "stop" and "cont"."""

    def pause(self, directory: MachineDir) -> None:
        with running.control(directory, running.find_or_raise(directory)) as session:
            session.execute("stop")

    def resume(self, directory: MachineDir) -> None:
        found = running.find_or_raise(directory)
        suspend.forget(directory)  # an earlier supervisor may have died during a resume
        with running.control(directory, found) as session:
            session.execute("cont")
