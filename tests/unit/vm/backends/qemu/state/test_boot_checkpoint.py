"""How many failed resumes end the use of boot checkpoints; without QEMU."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.capability import have
from vm.backends.qemu.backend import QemuBackend
from vm.backends.qemu.command import Launch
from vm.backends.qemu.resume_compat import FORMAT, ResumeCompat
from vm.backends.qemu.running import Running
from vm.backends.qemu.state import boot_checkpoint, saved
from vm.directory import MachineDir
from vm.host import process
from vm.types import Accelerator, MachineSpec

THEN = ResumeCompat(FORMAT, "qemu 1 2", "tcg", "", "image", 8 << 30, "arguments")
SPEC = MachineSpec(cpus=2, memory_bytes=1 << 30, disk_bytes=8 << 30, image="/images/stable-x")
TCG = Accelerator("tcg", "There is no KVM.")
BOOTED, SAVED, RESUMED = "booted", "booted and saved", "resumed"


class Scene:
    """`start` is a cold start, and returns what it did."""

    def __init__(self, directory: MachineDir) -> None:
        self.directory = directory
        self.now = THEN
        self.fails = ""  # the reason why a resume fails, if it does
        self._did = ""

    def start(self) -> str:
        directory = self.directory
        launch = Launch(
            *("qemu", "Linux", "x86_64", "tcg", 2, 1 << 30, Path("/images/x")),
            *(directory.data_disk, "uuid", 0, directory.qmp_socket, directory.events_socket),
            *(directory.relay_socket, directory.console_log),
        )
        if not boot_checkpoint.is_useful(directory, launch, SPEC):
            return BOOTED
        boot_checkpoint.start_with_checkpoint(directory, launch, TCG, SPEC, lambda progress: None)
        return self._did

    def boot(self, *_: object) -> Running:
        self._did = BOOTED
        self.directory.console_log.write_text("galley: template\n")
        identity = process.Identity(1, 1.0)
        return Running(identity, "uuid", 1, TCG, SPEC, compat=self.now)

    def read(self, *_: object) -> None:
        if self.fails:
            raise saved.unfit("its state cannot be read", self.fails)
        self._did = RESUMED

    def write(self, _directory: MachineDir, _booted: Running, folder: Path, **_: Any) -> None:
        folder.mkdir()
        for name in saved.FILES:
            (folder / name).write_text(name)
        self._did = SAVED


class SynchronousThread:
    """A `Thread` whose `start` runs the target and returns after it."""

    def __init__(self, target: Callable[..., object], args: Sequence[object], **_: object) -> None:
        self.start = lambda: target(*args)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    directory = MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")
    for folder in (directory.root, directory.logs):
        folder.mkdir()
    directory.data_disk.touch()
    made = Scene(directory)
    monkeypatch.setattr(saved, "read", made.read)
    monkeypatch.setattr(saved, "write", made.write)
    monkeypatch.setattr(saved, "resume_running", lambda *_: None)
    monkeypatch.setattr(boot_checkpoint, "_boot_to_checkpoint", made.boot)
    monkeypatch.setattr(boot_checkpoint, "compat_of", lambda *_: made.now)
    monkeypatch.setattr(boot_checkpoint, "with_shares", lambda *_: (None, None))
    monkeypatch.setattr(
        "vm.backends.qemu.state.boot_checkpoint.threading.Thread", SynchronousThread
    )
    return made


def test_one_failed_resume_costs_one_boot(scene: Scene) -> None:
    """For example, QEMU did not answer once, a read failed, or the host was busy."""
    assert scene.start() == SAVED
    assert scene.start() == RESUMED
    for _ in range(3):
        scene.fails = "QEMU does not answer."
        assert scene.start() == SAVED, "a new checkpoint is made at once"
        assert boot_checkpoint.why_given_up(scene.directory) is None
        scene.fails = ""
        assert scene.start() == RESUMED, "the new checkpoint can be resumed"


def test_two_failures_in_a_row_end_checkpoints_and_diagnose_reports_it(scene: Scene) -> None:
    explains = have(QemuBackend().explains)
    assert explains.why_slow(scene.directory) is None
    assert scene.start() == SAVED
    scene.fails = "QEMU does not answer."
    assert [scene.start(), scene.start()] == [SAVED, BOOTED]
    scene.fails = ""
    assert scene.start() == BOOTED
    problem = explains.why_slow(scene.directory)
    assert problem is not None
    assert "2 times in a row" in problem.summary
    assert "--repair" in problem.hint
    assert problem.details == "QEMU does not answer."
    boot_checkpoint.forget(scene.directory)  # as --repair does
    assert explains.why_slow(scene.directory) is None
    assert [scene.start(), scene.start()] == [SAVED, RESUMED]


def test_with_another_qemu_checkpoints_are_tried_again(scene: Scene) -> None:
    assert scene.start() == SAVED
    scene.fails = "QEMU does not answer."
    assert [scene.start(), scene.start()] == [SAVED, BOOTED]
    scene.fails, scene.now = "", msgspec.structs.replace(THEN, qemu="qemu 3 4")
    assert [scene.start(), scene.start()] == [SAVED, RESUMED]
    assert boot_checkpoint.why_given_up(scene.directory) is None


def test_checkpoints_that_an_earlier_version_gave_up_are_tried_again(scene: Scene) -> None:
    """Earlier versions gave up after the first failure."""
    assert scene.start() == SAVED
    boot_checkpoint._write_manifest(
        scene.directory.boot_checkpoint, boot_checkpoint.CheckpointManifest(THEN, 0, {})
    )
    assert [scene.start(), scene.start()] == [SAVED, RESUMED]
