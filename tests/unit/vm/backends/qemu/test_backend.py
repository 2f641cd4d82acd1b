"""The QEMU backend without a real QEMU: its disk, its errors, its search for the program."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tests.capability import have
from vm.backends.qemu import accel, program
from vm.backends.qemu.backend import QemuBackend
from vm.directory import MachineDir
from vm.errors import (
    BackendFailed,
    DiskFull,
    ImageDamaged,
    NoMachine,
    NotEnough,
    ToolMissing,
    ToolTooOld,
)
from vm.types import Accelerator, BootOptions, Forward, MachineSpec

GIB = 1 << 30
backend = QemuBackend()
Install = Callable[[str], None]


@pytest.fixture
def directory() -> Iterator[MachineDir]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        yield MachineDir(root, root, root)


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    for name in ("vmlinux", "initramfs", "root.qcow2", "manifest.json"):
        (tmp_path / name).touch()
    return MachineSpec(1, GIB, 20 * GIB, str(tmp_path))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a shell script the only QEMU of this computer."""

    def install(script: str) -> None:
        tool = tmp_path / f"qemu-system-{program.arch()}"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return install


def start(directory: MachineDir, spec: MachineSpec) -> None:
    backend.start(directory, spec, BootOptions(login_key="key"), lambda progress: None)


def test_create_makes_a_sparse_disk_that_only_grows(
    directory: MachineDir, spec: MachineSpec
) -> None:
    backend.create(directory, spec)
    made = directory.data_disk.stat()
    assert (made.st_size, made.st_blocks) == (20 * GIB, 0)
    assert directory.data_is_new.exists()
    identity = directory.uuid.read_text()
    directory.data_is_new.unlink()

    backend.create(directory, msgspec.structs.replace(spec, disk_bytes=10 * GIB))
    assert directory.data_disk.stat().st_size == 20 * GIB
    backend.create(directory, msgspec.structs.replace(spec, disk_bytes=30 * GIB))
    assert directory.data_disk.stat().st_size == 30 * GIB
    assert directory.uuid.read_text() == identity
    assert not directory.data_is_new.exists()

    backend.delete(directory)
    assert list(directory.root.iterdir()) == []


def test_create_refuses_a_full_disk_and_leaves_no_disk(
    directory: MachineDir, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=GIB))
    with pytest.raises(DiskFull, match=r"has 1\.0 GiB free; a machine needs 2\.0 GiB"):
        backend.create(directory, spec)
    assert not directory.data_disk.exists()
    assert not directory.data_is_new.exists()


def test_a_missing_qemu_is_reported(directory: MachineDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    problem = backend.probe()
    assert problem is not None
    assert problem.kind == ToolMissing.__name__
    assert "nstall" in problem.hint


def test_an_old_qemu_is_reported(install: Install) -> None:
    install("echo 'QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)'")
    problem = backend.probe()
    assert problem is not None
    assert problem.kind == ToolTooOld.__name__
    assert problem.summary == "QEMU 5.2 is too old: Galley needs 7.2 or newer."


@pytest.mark.parametrize("script", ["exit 1", "echo hello", "true"])
def test_a_qemu_that_does_not_report_its_version(install: Install, script: str) -> None:
    install(script)
    problem = backend.probe()
    assert problem is not None
    assert "does not report its version" in problem.summary


def test_start_checks_the_machine_the_spec_and_the_image(
    directory: MachineDir, spec: MachineSpec, install: Install
) -> None:
    install("echo 'QEMU emulator version 10.0.0'")
    with pytest.raises(NoMachine):
        start(directory, spec)
    backend.create(directory, spec)
    with pytest.raises(NotEnough, match="5000 CPUs"):
        start(directory, msgspec.structs.replace(spec, cpus=5000))
    with pytest.raises(NotEnough, match=r"1048576\.0 GiB of memory"):
        start(directory, msgspec.structs.replace(spec, memory_bytes=1 << 50))
    (Path(spec.image) / "root.qcow2").unlink()
    with pytest.raises(ImageDamaged, match=r"root\.qcow2"):
        start(directory, spec)


def test_the_stderr_of_a_qemu_that_exits_at_once_is_reported(
    directory: MachineDir,
    spec: MachineSpec,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tcg = Accelerator("tcg", "Emulation was chosen in the settings.")
    monkeypatch.setattr(accel, "choose", lambda *arguments: tcg)
    install(
        'if [ "$1" = --version ]; then echo "QEMU emulator version 10.0.0"; exit; fi\n'
        "echo 'qemu: error: out of luck' >&2; exit 1"
    )
    backend.create(directory, spec)
    with pytest.raises(BackendFailed, match="error: out of luck") as raised:
        start(directory, spec)
    assert "out of luck" in raised.value.details
    assert not directory.running.exists()


def test_start_is_retried_when_its_ssh_port_is_taken(
    directory: MachineDir,
    spec: MachineSpec,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tcg = Accelerator("tcg", "Emulation was chosen in the settings.")
    monkeypatch.setattr(accel, "choose", lambda *arguments: tcg)
    install(
        'if [ "$1" = --version ]; then echo "QEMU emulator version 10.0.0"; exit; fi\n'
        "echo \"qemu: Could not set up host forwarding rule 'tcp:127.0.0.1:1-:22'\" >&2; exit 1"
    )
    backend.create(directory, spec)
    with pytest.raises(BackendFailed, match="Could not set up host forwarding"):
        start(directory, spec)
    assert directory.backend_log.read_text().count("Could not") == 5


def test_the_console_log_of_the_previous_start_is_kept(
    directory: MachineDir,
    spec: MachineSpec,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tcg = Accelerator("tcg", "Emulation was chosen in the settings.")
    monkeypatch.setattr(accel, "choose", lambda *arguments: tcg)
    install('if [ "$1" = --version ]; then echo "QEMU emulator version 10.0.0"; exit; fi; exit 1')
    backend.create(directory, spec)
    directory.console_log.write_text("an earlier boot")
    with pytest.raises(BackendFailed):
        start(directory, spec)
    assert directory.console_log.read_text() == ""
    assert (directory.logs / "console.1.log").read_text() == "an earlier boot"


def test_ports_need_a_running_machine(directory: MachineDir) -> None:
    forward = Forward("127.0.0.1", 8080, 80)
    ports = have(backend.forwards_ports)
    ports.unforward(directory, forward)
    assert ports.forwarded(directory) == frozenset()
    with pytest.raises(NoMachine):
        ports.forward(directory, forward)
