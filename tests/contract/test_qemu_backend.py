"""The QEMU backend with a real QEMU. The guests are a few instructions long and need no image.

The guests are x86 and run under emulation: an x86 computer or `qemu-system-x86` is needed.
"""

import os
import platform
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.capability import have
from vm.backend import Force
from vm.backends.qemu import accel, program, qmp, running
from vm.backends.qemu.backend import QemuBackend
from vm.backends.qemu.command import Launch
from vm.directory import MachineDir
from vm.errors import MachineBusy, PortInUse
from vm.host import net, process
from vm.types import BootOptions, Forward, MachineSpec, MachineState

pytestmark = pytest.mark.vm

GIB = 1 << 30
BASE = 0x100000  # where the guest's code is loaded and entered, in 32-bit mode (PVH)
WAIT_FOR_EVER = bytes.fromhex("f4 eb fd")  # hlt; jmp to it


def print_and_crash(text: bytes) -> bytes:
    """Writes `text` to the first serial port, then faults without a handler, which ends QEMU."""
    code = bytes.fromhex(
        "be 1f001000"  # mov esi, BASE + 31
        "66ba f803"  # mov dx, 0x3f8
        "ac 84c0 7403"  # next: lodsb; test al, al; jz end
        "ee ebf8"  # out dx, al; jmp next
        "0f011d 19001000"  # end: lidt [BASE + 25]
        "cc 000000000000"  # int3; the empty table
    )
    return code + text + b"\0"


def kernel(code: bytes) -> bytes:
    """An ELF file that QEMU boots as it boots vmlinux: its Xen note names the 32-bit entry."""
    note = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", BASE)
    start = 64 + 2 * 56
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, start, BASE, BASE, len(code), len(code), 4096)
    at = start + len(code)
    notes = struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(note), len(note), 4)
    return header + load + notes + code + note


def make_image(folder: Path, code: bytes) -> Path:
    folder.mkdir()
    (folder / "vmlinux").write_bytes(kernel(code))
    (folder / "initramfs").write_bytes(bytes(4096))
    (folder / "manifest.json").touch()
    subprocess.run(["qemu-img", "create", "-qf", "qcow2", folder / "root.qcow2", "4k"], check=True)
    return folder


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="galley") as folder:  # short, for the socket
        yield Path(folder)


class Bench:
    """One machine whose guest waits for ever."""

    def __init__(self, root: Path) -> None:
        self.backend = QemuBackend()
        self.ports = have(self.backend.forwards_ports)
        self.directory = MachineDir(root / "machine", root / "logs", root / "run")
        self.directory.root.mkdir()
        image = make_image(root / "image", WAIT_FOR_EVER)
        self.spec = MachineSpec(1, GIB // 4, 4 * GIB, str(image), accelerator="tcg")

    def start(self) -> None:
        self.backend.create(self.directory, self.spec)
        options = BootOptions(login_key="nobody")
        self.backend.start(self.directory, self.spec, options, lambda step: None)

    def pid(self) -> int:
        pid = self.backend.observe(self.directory).pid
        assert pid is not None
        return pid


@pytest.fixture
def bench(root: Path) -> Iterator[Bench]:
    made = Bench(root)
    yield made
    made.backend.stop(made.directory, Force.KILL)
    assert made.backend.wait_stopped(made.directory, 10)


def test_start_observe_quit_and_delete_leave_no_file(bench: Bench) -> None:
    bench.start()
    seen = bench.backend.observe(bench.directory)
    assert seen.state is MachineState.RUNNING
    assert seen.spec == bench.spec
    assert seen.accelerator is not None
    assert seen.accelerator.name == "tcg"
    assert seen.address is not None
    with socket.create_connection((seen.address.host, seen.address.port), 5):
        pass  # QEMU itself accepts; the guest has no network
    assert bench.directory.qmp_socket.stat().st_mode & 0o777 == 0o600
    with pytest.raises(MachineBusy):
        bench.start()

    assert not bench.backend.wait_stopped(bench.directory, 0)
    bench.backend.stop(bench.directory, Force.QUIT)
    assert bench.backend.wait_stopped(bench.directory, 10)
    assert bench.backend.observe(bench.directory).state is MachineState.STOPPED
    assert list(bench.directory.run.iterdir()) == []
    bench.backend.delete(bench.directory)
    assert list(bench.directory.root.iterdir()) == []


def test_qemu_has_its_own_session_and_inherits_no_socket(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        os.set_inheritable(ours.fileno(), True)
        bench.start()
        pid = bench.pid()
        assert os.getsid(pid) == pid
        inherited = os.fstat(ours.fileno()).st_ino
        held = {os.stat(f"/proc/{pid}/fd/{name}").st_ino for name in os.listdir(f"/proc/{pid}/fd")}
        assert inherited not in held


def test_a_paused_machine_is_observed(bench: Bench) -> None:
    bench.start()
    with qmp.session(bench.directory.qmp_socket) as session:
        session.execute("stop")
    assert bench.backend.observe(bench.directory).state is MachineState.PAUSED


def test_a_killed_machine_is_detected_and_starts_again(bench: Bench) -> None:
    bench.start()
    detected = threading.Event()

    def watch() -> None:
        bench.backend.wait_stopped(bench.directory, None)
        detected.set()

    threading.Thread(target=watch, daemon=True).start()
    first = bench.pid()
    os.kill(first, signal.SIGKILL)
    assert detected.wait(1)
    assert bench.backend.observe(bench.directory).state is MachineState.STOPPED
    bench.start()
    assert bench.pid() != first


def test_a_stopped_qemu_process_counts_as_running_and_is_observed_in_time(bench: Bench) -> None:
    bench.start()
    pid = bench.pid()
    os.kill(pid, signal.SIGSTOP)
    before = time.monotonic()
    seen = bench.backend.observe(bench.directory)
    assert time.monotonic() - before < 2
    assert (seen.state, seen.pid) == (MachineState.RUNNING, pid)


def test_a_machine_whose_record_was_lost_is_adopted(bench: Bench) -> None:
    bench.start()
    before = bench.backend.observe(bench.directory)
    bench.directory.running.unlink()
    after = bench.backend.observe(bench.directory)
    assert (after.pid, after.address) == (before.pid, before.address)
    bench.backend.stop(bench.directory, Force.QUIT)
    assert bench.backend.wait_stopped(bench.directory, 10)


def test_a_machine_with_another_uuid_is_not_stopped(bench: Bench, root: Path) -> None:
    bench.start()
    found = running.find(bench.directory)
    assert found is not None
    (root / "other").mkdir()
    elsewhere = MachineDir(root / "other", bench.directory.logs, bench.directory.run)
    other = "00000000-0000-0000-0000-000000000001"
    elsewhere.uuid.write_text(other)
    running.write_record(elsewhere, msgspec.structs.replace(found, uuid=other))
    bench.backend.stop(elsewhere, Force.QUIT)
    bench.backend.stop(elsewhere, Force.KILL)
    assert process.is_alive(found.identity)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_ports_are_forwarded_and_closed(bench: Bench, protocol: str) -> None:
    bench.start()
    forward = Forward("127.0.0.1", net.free_port(), 80, protocol)
    for _ in range(2):
        bench.ports.forward(bench.directory, forward)
        assert not net.is_free("127.0.0.1", forward.host_port, protocol)
        assert bench.ports.forwarded(bench.directory) == {forward}
    for _ in range(2):
        bench.ports.unforward(bench.directory, forward)
        assert net.is_free("127.0.0.1", forward.host_port, protocol)


def test_a_taken_port_is_an_error_that_names_its_holder(bench: Bench) -> None:
    bench.start()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortInUse, match=str(os.getpid())):
            bench.ports.forward(bench.directory, Forward("127.0.0.1", port, 80))


def test_many_threads_share_the_qmp_socket(bench: Bench) -> None:
    bench.start()
    forwards = [Forward("127.0.0.1", net.free_port(), 80 + number) for number in range(16)]
    threads = [
        threading.Thread(target=bench.ports.forward, args=(bench.directory, forward))
        for forward in forwards
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.ports.forwarded(bench.directory) == set(forwards)


def probe_launch(image: Path) -> Launch:
    return Launch(
        program=str(program.find().path),
        system=platform.system(),
        arch=program.arch(),
        accelerator="tcg",
        cpus=1,
        memory_bytes=GIB // 4,
        image=image,
        data_disk=image,
        uuid="7c3c9b1e-6b0f-4a57-9c57-0d7b8f0f7d11",
        ssh_port=0,
        qmp_socket=image,
        events_socket=image,
        relay_socket=image,
        console_log=image,
    )


@pytest.mark.parametrize(
    ("line", "works"), [(b"[ 1.2] reboot: Power down\n", True), (b"Kernel panic\n", False)]
)
def test_the_probe_reads_the_guests_last_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, works: bool
) -> None:
    monkeypatch.setitem(accel.TITLES, "tcg", "Emulation")
    verdict = accel.boots("tcg", probe_launch(make_image(root / "image", print_and_crash(line))))
    assert verdict[0] is works
    assert ("booted a test guest in" if works else "Kernel panic") in verdict[1].english


def test_the_probe_gives_up_on_a_guest_that_hangs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(accel.TITLES, "tcg", "Emulation")
    monkeypatch.setattr(accel, "DEADLINE", 1.0)
    verdict = accel.boots("tcg", probe_launch(make_image(root / "image", WAIT_FOR_EVER)))
    works, reason = verdict
    assert not works
    assert reason.english == "Emulation is present, but a test guest did not boot in 1 s."
