"""A fake backend that can suspend its machine."""

import shutil
from collections.abc import Callable
from pathlib import Path

from vm.backend import Force
from vm.backends.fake import FakeBackend
from vm.capabilities import Progress, Suspends
from vm.directory import MachineDir
from vm.errors import NotResumable
from vm.host import sparse
from vm.messages import Message
from vm.types import BootOptions, MachineSpec


class Sleepy(FakeBackend):
    """A fake backend that can suspend. The machine's memory holds the number of cold starts."""

    def __init__(self) -> None:
        super().__init__()
        self.suspends = Sleep(self)
        self.boots = 0
        self.spec: MachineSpec | None = None  # of the last boot
        self.memory = 0
        self.at_suspend: Callable[[], None] = lambda: None  # called during a suspend
        self.at_resume: Callable[[], None] = lambda: None

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        shutil.rmtree(directory.suspended, ignore_errors=True)
        self.boots += 1
        self.spec = spec
        self.memory = self.boots
        super().start(directory, spec, options, progress)

    def start_resumed(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        super().start(directory, spec, options, progress)


class Sleep(Suspends):
    """Keeps the suspended state in the file "ram"."""

    def __init__(self, backend: Sleepy) -> None:
        self._backend = backend

    def suspend(self, directory: MachineDir) -> None:
        self._backend.at_suspend()
        self._backend.stop(directory, Force.QUIT)
        self._backend.wait_stopped(directory, 10)
        directory.suspended.mkdir()
        (directory.suspended / "ram").write_text(str(self._backend.memory))

    def is_suspended(self, directory: MachineDir) -> bool:
        return directory.suspended.exists()

    def resume(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        self._backend.at_resume()
        if spec != self._backend.spec:
            raise NotResumable(Message("", "Another machine."))
        self._backend.memory = int((directory.suspended / "ram").read_text())
        shutil.rmtree(directory.suspended)
        self._backend.start_resumed(directory, spec, options, progress)

    def copy(self, directory: MachineDir, disk: Path, folder: Path, report: sparse.Report) -> bool:
        shutil.copytree(directory.suspended, folder)
        return True

    def restore(
        self, directory: MachineDir, disk: Path, folder: Path, report: sparse.Report
    ) -> bool:
        shutil.copytree(folder, directory.suspended)
        return True
