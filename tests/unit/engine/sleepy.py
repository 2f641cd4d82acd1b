"""The machine that pretends, and can be suspended."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from vm.backend import Force
from vm.backends.fake import FakeBackend
from vm.directory import MachineDir
from vm.errors import NotResumable
from vm.host import sparse
from vm.types import MachineSpec


class Sleepy(FakeBackend):
    """One that can be suspended: what it has in memory is how often it was started from cold."""

    features = msgspec.structs.replace(FakeBackend.features, suspend=True)

    def __init__(self) -> None:
        self.boots = 0
        self.spec: MachineSpec | None = None  # of the last boot
        self.memory = 0
        self.suspends: Callable[[], None] = lambda: None  # what happens meanwhile
        self.resumes: Callable[[], None] = lambda: None

    def start(self, directory: MachineDir, spec: MachineSpec, *rest: Any, **named: Any) -> None:
        shutil.rmtree(directory.suspended, ignore_errors=True)
        self.boots += 1
        self.spec = spec
        self.memory = self.boots
        super().start(directory, spec, *rest, **named)

    def suspend(self, directory: MachineDir) -> None:
        self.suspends()
        self.stop(directory, Force.QUIT)
        self.wait_stopped(directory, 10)
        directory.suspended.mkdir()
        (directory.suspended / "ram").write_text(str(self.memory))

    def is_suspended(self, directory: MachineDir) -> bool:
        return directory.suspended.exists()

    def resume(self, directory: MachineDir, spec: MachineSpec, *rest: Any) -> None:
        self.resumes()
        if spec != self.spec:
            raise NotResumable("Another machine.")
        self.memory = int((directory.suspended / "ram").read_text())
        shutil.rmtree(directory.suspended)
        super().start(directory, spec, *rest)

    def keep_suspended(
        self, directory: MachineDir, disk: Path, folder: Path, report: sparse.Report
    ) -> bool:
        shutil.copytree(directory.suspended, folder)
        return True

    def put_back_suspended(
        self, directory: MachineDir, disk: Path, folder: Path, report: sparse.Report
    ) -> bool:
        shutil.copytree(folder, directory.suspended)
        return True
