"""Shared folders of a QEMU machine: whether they can be shared, and a watch on what serves them.

Each start decides how they are served (`start.py`). Next: `shares/folders.py`,
`virtiofsd_monitor.py`.
"""

from threading import Event

from vm.backends.qemu import virtiofsd_monitor
from vm.backends.qemu.shares import folders
from vm.capabilities import Forget, Lost, SharesFolders
from vm.directory import MachineDir
from vm.errors import Problem, problem_of


class FolderSharing(SharesFolders):
    """By virtiofs, or by SFTP (`folders.WAYS`)."""

    def probe(self, asked: str) -> Problem | None:
        return problem_of(lambda: folders.choose(asked))

    def watch(self, directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
        virtiofsd_monitor.watch(directory, ended, forget, lost)
