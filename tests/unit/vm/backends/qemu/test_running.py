"""Whose process is it? Stale records, foreign processes and lost records, with a stand-in for QEMU.

The stand-in is a shell script called qemu-system-test that waits; its arguments are what counts.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import psutil
import pytest

from tests.other_user import process_of_other
from vm.backend import Force
from vm.backends.qemu import running
from vm.backends.qemu.backend import QemuBackend
from vm.backends.qemu.running import Running
from vm.directory import MachineDir
from vm.host import process
from vm.types import Accelerator, Address, MachineSpec, MachineState

UUID = str(uuid4())
SPEC = MachineSpec(2, 1 << 30, 8 << 30, "/images/one")
TCG = Accelerator("tcg", "Emulation was chosen in the settings.")


@pytest.fixture
def directory() -> Iterator[MachineDir]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        machine = MachineDir(root, root, root)
        machine.uuid.write_text(UUID)
        machine.data_disk.touch()
        yield machine


# Its first thread has ended, and another not yet: so a killed QEMU looks while it ends.
ENDING = """
import ctypes, os, threading
threading.Thread(target=lambda: open("release").read() or os._exit(0)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""

Start = Callable[..., process.Identity]


def arguments(directory: MachineDir, uuid: str = UUID) -> list[str]:
    return [
        *("-uuid", uuid, "-accel", "tcg,thread=multi"),
        *("-netdev", "user,hostfwd=tcp:127.0.0.1:40022-:22"),
        *("-chardev", f"socket,path={directory.qmp_socket},server=on"),
    ]


@pytest.fixture
def start(directory: MachineDir) -> Iterator[Start]:
    """Starts a waiting process whose command line has this uuid and the directory's socket."""
    program = directory.root / "qemu-system-test"
    program.symlink_to(sys.executable)
    started: list[process.Identity] = []

    def start(uuid: str, program_text: str = "import signal; signal.pause()") -> process.Identity:
        words: list[str | Path] = [program, "-c", program_text, *arguments(directory, uuid)]
        started.append(process.spawn_detached(words, log=directory.backend_log))
        return started[-1]

    yield start
    for identity in started:
        process.end(identity, force=True)
        process.wait_gone(identity, 5)


def record(directory: MachineDir, identity: process.Identity, uuid: str = UUID) -> Running:
    entry = Running(identity, uuid, 40022, TCG, SPEC)
    running.remember(directory, entry)
    return entry


def test_a_recorded_process_is_ours(directory: MachineDir, start: Start) -> None:
    entry = record(directory, start(UUID))
    assert running.find(directory) == entry
    seen = QemuBackend().observe(directory)  # QMP does not answer: busy, not gone
    assert seen.state is MachineState.RUNNING
    assert (seen.address, seen.accelerator, seen.spec) == (Address("127.0.0.1", 40022), TCG, SPEC)


def test_a_stale_record_and_socket_are_stopped(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    record(directory, identity)
    directory.qmp_socket.touch()
    process.end(identity, force=True)
    assert process.wait_gone(identity, 5)
    assert QemuBackend().observe(directory).state is MachineState.STOPPED


@pytest.mark.parametrize("content", ["", "{}", '{"identity": 3}', "\xff"])
def test_a_damaged_record_is_stopped(directory: MachineDir, content: str) -> None:
    directory.running.write_text(content, encoding="latin-1")
    assert QemuBackend().observe(directory).state is MachineState.STOPPED


def test_a_pid_that_somebody_else_has_now_is_not_ours(directory: MachineDir) -> None:
    me = process.identify(os.getpid())
    assert me is not None
    for identity in (me, process.Identity(me.pid, me.started - 60)):
        record(directory, identity)
        assert QemuBackend().observe(directory).state is MachineState.STOPPED


def test_another_machine_is_not_ours(directory: MachineDir, start: Start) -> None:
    other = "00000000-0000-0000-0000-000000000000"
    identity = start(other)
    for uuid in (other, UUID):
        record(directory, identity, uuid)
        assert running.find(directory) is None


def test_a_machine_without_its_record_is_adopted(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    directory.spec.write_bytes(msgspec.json.encode(SPEC))
    found = running.find(directory)
    assert found is not None
    assert (found.identity, found.ssh_port, found.spec) == (identity, 40022, SPEC)
    assert found.accelerator.name == "tcg"
    directory.spec.unlink()
    assert QemuBackend().observe(directory).spec is None


def test_a_moved_clock_does_not_lose_the_machine(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    record(directory, process.Identity(identity.pid, identity.started - 1))
    assert running.find(directory) == Running(identity, UUID, 40022, TCG, SPEC)


def test_a_copied_home_is_another_machine(directory: MachineDir, start: Start) -> None:
    record(directory, start(UUID))
    copied = MachineDir(directory.root, directory.logs, directory.root / "elsewhere")
    assert running.find(copied) is None
    directory.running.unlink()
    assert running.find(copied) is None
    assert running.find(directory) is not None


def test_sweeping_spares_the_one_that_runs(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    record(directory, identity)
    directory.qmp_socket.touch()
    running.sweep(directory)
    assert directory.running.exists()
    assert directory.qmp_socket.exists()
    process.end(identity, force=True)
    assert process.wait_gone(identity, 5)
    running.sweep(directory)
    assert not directory.running.exists()
    assert not directory.qmp_socket.exists()


def test_absent_without_a_disk(directory: MachineDir) -> None:
    directory.data_disk.unlink()
    assert QemuBackend().observe(directory).state is MachineState.ABSENT


def test_kill_ends_it_and_waiting_cleans_up(directory: MachineDir, start: Start) -> None:
    backend = QemuBackend()
    record(directory, start(UUID))
    assert not backend.wait_stopped(directory, 0)
    backend.stop(directory, Force.QUIT)  # nobody hears it, and nothing is raised
    backend.stop(directory, Force.KILL)
    assert backend.wait_stopped(directory, 5)
    assert not directory.running.exists()
    backend.stop(directory, Force.ASK)


def test_one_that_is_ending_is_there_until_its_last_thread_is_not(
    directory: MachineDir, start: Start
) -> None:
    """Its disk is locked until then."""
    release = directory.root / "release"
    os.mkfifo(release)
    identity = start(UUID, ENDING.replace("release", str(release)))
    entry = record(directory, identity)
    held = os.open(release, os.O_WRONLY)  # once its other thread runs
    while Path(f"/proc/{identity.pid}/cmdline").read_bytes():
        assert not process.wait_gone(identity, 0.01)
    assert running.find(directory) == entry
    backend = QemuBackend()
    assert not backend.wait_stopped(directory, 0.05)
    os.close(held)
    assert backend.wait_stopped(directory, 5)
    assert running.find(directory) is None


def test_a_process_of_another_user_is_not_ours(directory: MachineDir) -> None:
    """Its name, uuid and socket can be read in `ps` and copied."""
    backend = QemuBackend()
    directory.root.chmod(0o755)
    with process_of_other(directory.root, "qemu-system-test", arguments(directory)) as pid:
        assert running.find(directory) is None
        record(directory, process.Identity(pid, psutil.Process(pid).create_time()))
        assert running.find(directory) is None
        assert backend.observe(directory).state is MachineState.STOPPED
        backend.stop(directory, Force.KILL)
        assert backend.wait_stopped(directory, 0.0)
        assert psutil.pid_exists(pid)
