"""Finds the QEMU process of a machine: stale records, foreign processes and lost records.

The stand-in for QEMU is a waiting process called qemu-system-test, with arguments of QEMU.
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
from tests.unit.vm.backends.qemu.test_qmp import Server
from vm.backend import Force
from vm.backends.qemu import running
from vm.backends.qemu.backend import QemuBackend
from vm.backends.qemu.qmp import QmpSilent
from vm.backends.qemu.resume_compat import ResumeCompat
from vm.backends.qemu.running import Running
from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.host import process
from vm.messages.qemu import ACCELERATOR_CHOSEN_BEFORE
from vm.types import Accelerator, Address, MachineSpec, MachineState, Share

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


# Its main thread has ended, another has not: the state of a killed QEMU while it exits.
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
        command: list[str | Path] = [program, "-c", program_text, *arguments(directory, uuid)]
        started.append(process.spawn_detached(command, log=directory.backend_log))
        return started[-1]

    yield start
    for identity in started:
        process.end(identity, force=True)
        process.wait_gone(identity, 5)


def record(directory: MachineDir, identity: process.Identity, uuid: str = UUID) -> Running:
    entry = Running(identity, uuid, 40022, TCG, SPEC)
    running.write_record(directory, entry)
    return entry


def test_a_recorded_process_is_found(directory: MachineDir, start: Start) -> None:
    entry = record(directory, start(UUID))
    assert running.find(directory) == entry
    seen = QemuBackend().observe(directory)  # QMP does not answer: busy, not gone
    assert seen.state is MachineState.RUNNING
    assert (seen.address, seen.accelerator, seen.spec) == (Address("127.0.0.1", 40022), TCG, SPEC)


def test_a_stale_record_and_socket_mean_stopped(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    record(directory, identity)
    directory.qmp_socket.touch()
    process.end(identity, force=True)
    assert process.wait_gone(identity, 5)
    assert QemuBackend().observe(directory).state is MachineState.STOPPED


@pytest.mark.parametrize("content", ["", "{}", '{"identity": 3}', "\xff"])
def test_a_damaged_record_means_stopped(directory: MachineDir, content: str) -> None:
    directory.running.write_text(content, encoding="latin-1")
    assert QemuBackend().observe(directory).state is MachineState.STOPPED


def test_a_reused_pid_is_ignored(directory: MachineDir) -> None:
    me = process.identify(os.getpid())
    assert me is not None
    for identity in (me, process.Identity(me.pid, me.started - 60)):
        record(directory, identity)
        assert QemuBackend().observe(directory).state is MachineState.STOPPED


def test_another_machine_is_ignored(directory: MachineDir, start: Start) -> None:
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


@pytest.mark.parametrize(("device", "by"), [("vhost-user-fs-pci", "virtiofs"), ("x", "sftp")])
def test_an_adopted_machine_shares_as_its_command_line_says(
    directory: MachineDir, device: str, by: str
) -> None:
    command = [*arguments(directory), "-device", f"{device},tag=share0"]
    identity = process.Identity(1, 2.0)
    shared = msgspec.structs.replace(SPEC, shares=(Share("/home/ann", "/home/ann"),))
    reason = ACCELERATOR_CHOSEN_BEFORE
    for spec, shares_by in ((shared, by), (SPEC, ""), (None, "")):
        directory.spec.unlink(missing_ok=True)
        if spec is not None:
            directory.spec.write_bytes(msgspec.json.encode(spec))
        accelerator = Accelerator("tcg", reason.summary, reason.code)
        adopted = Running(identity, UUID, 40022, accelerator, spec, share_by=shares_by)
        assert running._adopt(directory, identity, UUID, command) == adopted


def test_a_process_with_a_sparse_command_line_is_adopted(directory: MachineDir) -> None:
    identity = process.Identity(1, 2.0)
    adopted = running._adopt(directory, identity, UUID, ["-accel", "kvm"])
    assert (adopted.ssh_port, adopted.accelerator.name, adopted.memory) == (0, "kvm", -1)
    assert running._adopt(directory, identity, UUID, []).accelerator.name == ""
    assert Running(identity, UUID, 1, TCG, None).share_by == ""


def test_a_socket_is_distinguished_from_one_with_a_longer_name(directory: MachineDir) -> None:
    for folder in (directory.root, Path("/home/a,b")):
        here = MachineDir(folder, folder, folder)
        path = str(here.qmp_socket).replace(",", ",,")
        for socket, ours in ((path, True), (f"{path}2", False)):
            command = ["-uuid", UUID, "-chardev", f"socket,id=qmp,path={socket},server=on"]
            assert running._is_ours(here, UUID, command) is ours


def test_without_a_uuid_no_process_is_found(directory: MachineDir, start: Start) -> None:
    record(directory, start(UUID))
    for content in (b"", b" \n", b"\xff\xfe"):
        directory.uuid.write_bytes(content)
        assert running.read_uuid(directory) is None
        assert running.find(directory) is None
    directory.uuid.write_text(f"{UUID}\n")
    assert running.read_uuid(directory) == UUID
    assert running.find(directory) is not None


def test_the_size_of_a_grown_disk_is_recorded(directory: MachineDir) -> None:
    identity, size = process.Identity(1, 2.0), 16 << 30
    taken = ResumeCompat(1, "qemu", "tcg", "cpu", "image", 8 << 30, "arguments")
    entry = Running(identity, UUID, 40022, TCG, SPEC, compat=taken)
    running.record_disk_size(directory, entry, size)
    assert running._recorded(directory) == msgspec.structs.replace(
        entry,
        spec=msgspec.structs.replace(SPEC, disk_bytes=size),
        compat=msgspec.structs.replace(taken, disk_bytes=size),
    )
    bare = Running(identity, UUID, 40022, TCG, None)
    running.record_disk_size(directory, bare, size)
    assert running._recorded(directory) == bare


def test_the_record_has_the_names_that_other_versions_read(directory: MachineDir) -> None:
    taken = ResumeCompat(1, "qemu", "tcg", "cpu", "image", 8 << 30, "arguments")
    entry = Running(process.Identity(1, 2.0), UUID, 40022, TCG, SPEC, compat=taken)
    running.write_record(directory, entry)
    names = "identity uuid ssh_port accelerator spec share_by memory circumstances"
    assert list(msgspec.json.decode(directory.running.read_bytes())) == names.split()


@pytest.fixture
def qemu(directory: MachineDir) -> Iterator[Server]:
    server = Server(directory.qmp_socket)
    server.answer = lambda request: [{"return": {"UUID": UUID}}]
    yield server
    server.end()


def test_control_checks_that_the_session_is_with_our_machine(
    directory: MachineDir, qemu: Server
) -> None:
    entry = Running(process.Identity(1, 2.0), UUID, 40022, TCG, SPEC)
    with running.control(directory, entry) as session:
        session.execute("quit")
    assert [request["execute"] for request in qemu.requests] == ["query-uuid", "quit"]


def test_another_program_on_the_socket_gets_no_command(directory: MachineDir, qemu: Server) -> None:
    other = Running(process.Identity(1, 2.0), str(uuid4()), 40022, TCG, SPEC)
    with pytest.raises(QmpSilent, match="belongs to another machine") as silent:  # noqa: SIM117
        with running.control(directory, other) as session:
            session.execute("quit")
    assert silent.value.details == str(directory.qmp_socket)
    assert [request["execute"] for request in qemu.requests] == ["query-uuid"]


def test_a_moved_clock_does_not_lose_the_machine(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    record(directory, process.Identity(identity.pid, identity.started - 1))
    assert running.find(directory) == Running(identity, UUID, 40022, TCG, SPEC)


def test_the_record_of_an_earlier_process_is_not_used_for_this_one(
    directory: MachineDir, start: Start
) -> None:
    identity = start(UUID)
    running.write_record(directory, Running(process.Identity(1, 2.0), UUID, 1, TCG, SPEC))
    found = running.find(directory)
    assert found is not None
    assert (found.identity, found.ssh_port, found.spec) == (identity, 40022, None)


def test_find_or_raise_requires_a_running_machine(directory: MachineDir, start: Start) -> None:
    with pytest.raises(NoMachine):
        running.find_or_raise(directory)
    entry = record(directory, start(UUID))
    assert running.find_or_raise(directory) == entry


def test_a_copied_home_is_another_machine(directory: MachineDir, start: Start) -> None:
    record(directory, start(UUID))
    copied = MachineDir(directory.root, directory.logs, directory.root / "elsewhere")
    assert running.find(copied) is None
    directory.running.unlink()
    assert running.find(copied) is None
    assert running.find(directory) is not None


def test_sweep_keeps_the_files_of_a_running_machine(directory: MachineDir, start: Start) -> None:
    identity = start(UUID)
    record(directory, identity)
    sockets = (*directory.sockets, directory.traffic_socket, directory.share_socket(0))
    for socket in sockets:
        socket.touch()
    running.sweep(directory)
    assert directory.running.exists()
    assert all(socket.exists() for socket in sockets)
    process.end(identity, force=True)
    assert process.wait_gone(identity, 5)
    running.sweep(directory)
    assert not directory.running.exists()
    assert not any(socket.exists() for socket in sockets)
    running.sweep(directory)


def test_a_machine_without_a_disk_is_absent(directory: MachineDir) -> None:
    directory.data_disk.unlink()
    assert QemuBackend().observe(directory).state is MachineState.ABSENT


def test_kill_ends_the_process_and_wait_stopped_cleans_up(
    directory: MachineDir, start: Start
) -> None:
    backend = QemuBackend()
    record(directory, start(UUID))
    assert not backend.wait_stopped(directory, 0)
    backend.stop(directory, Force.QUIT)  # QMP does not answer; no error is raised
    backend.stop(directory, Force.KILL)
    assert backend.wait_stopped(directory, 5)
    assert not directory.running.exists()
    backend.stop(directory, Force.ASK)


def test_an_exiting_process_is_found_until_its_last_thread_has_ended(
    directory: MachineDir, start: Start
) -> None:
    """QEMU keeps its disk locked until then."""
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


def test_a_process_of_another_user_is_not_found(directory: MachineDir) -> None:
    """Another user can read the machine's name, uuid and socket in `ps` and copy them."""
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
