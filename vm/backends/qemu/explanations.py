"""What works worse on this computer than it could, and why, for `galley diagnose`."""

from vm.backends.qemu.shares import folders, virtiofsd
from vm.backends.qemu.state import boot_checkpoint
from vm.capabilities import Explains
from vm.directory import MachineDir
from vm.errors import Problem, problem_of
from vm.host import ownership


class Explanations(Explains):
    """Starts without a checkpoint; virtiofsd without a range of user ids."""

    def why_slow(self, directory: MachineDir) -> Problem | None:
        return boot_checkpoint.why_given_up(directory)

    def why_only_root_writes(self, asked: str) -> Problem | None:
        def look() -> None:
            if folders.choose(asked) == folders.VIRTIOFS and not ownership.is_root():
                virtiofsd.lent()

        return problem_of(look)
