"""File events in the guest: the kernel module, and the program that passes events to it."""

import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.guest import event_module
from engine.guest.btf import START, Types
from engine.guest.kernel import Module
from engine.guest.recipe import FILES, architecture
from vm.errors import HostError

MAGIC = Module("any", b"\0license=GPL\0vermagic=6.1 SMP mod_unload \0", (), ())
PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Kernel:
    """Writes the parts of BTF that Galley reads: see Documentation/bpf/btf.rst in Linux."""

    def __init__(self) -> None:
        self.strings = b"\0"
        self.types = b""
        self.count = 0

    def name(self, text: str) -> int:
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(self, name: str, kind: int, count: int, value: int, tail: bytes = b"") -> int:
        named = self.name(name) if name else 0
        self.types += struct.pack("<III", named, kind << 24 | count, value) + tail
        self.count += 1
        return self.count

    def struct(self, called: str, size: int, /, **offsets: int) -> None:
        members = (struct.pack("<III", self.name(one), 0, at * 8) for one, at in offsets.items())
        self.add(called, 4, len(offsets), size, b"".join(members))

    def function(self, name: str, parameters: int) -> None:
        self.add(name, 12, 0, self.add("", 13, parameters, 0, bytes(8 * parameters)))

    def image(self) -> bytes:
        sizes = (0, len(self.types), len(self.types), len(self.strings))
        return b"code" * 9 + START + struct.pack("<4I", *sizes) + self.types + self.strings


def kernel(**changed: int) -> bytes:
    made = Kernel()
    made.add("int", 1, 0, 4, bytes(4))  # kinds with records of other lengths
    made.add("", 3, 0, 0, bytes(12))
    values = (made.name("FSNOTIFY_EVENT_NONE"), 0, made.name("FSNOTIFY_EVENT_INODE"), 2)
    made.add("fsnotify_data_type", 6, 2, 4, struct.pack("<IiIi", *values))
    made.struct("dentry", 192, d_parent=24, d_inode=48)
    made.struct("inode", 632, i_mode=0, i_fsnotify_mask=584)
    made.struct("module", 1280, state=0, name=24)
    made.struct("kernel_param_ops", 32)
    made.struct("kstat", 144)
    made.struct("kernel_param", 40)
    for function, count in event_module.CALLS.items():
        made.function(function, changed.get(function, count))
    return made.image()


def test_types_are_found_in_the_kernel() -> None:
    types = Types(kernel())
    assert types.size("module") == 1280
    assert types.offset("inode", "i_fsnotify_mask") == 584
    assert types.constant("fsnotify_data_type", "FSNOTIFY_EVENT_INODE") == 2
    assert types.parameters("fsnotify") == 7


def test_a_missing_type_is_named_in_the_error() -> None:
    types = Types(kernel())
    with pytest.raises(HostError, match="absent"):
        types.size("absent")
    with pytest.raises(HostError, match="absent"):
        types.offset("inode", "absent")
    with pytest.raises(HostError, match="absent"):
        types.constant("fsnotify_data_type", "absent")
    with pytest.raises(HostError, match="absent"):
        types.parameters("absent")
    with pytest.raises(HostError, match="BTF"):
        Types(b"no kernel")


def test_the_module_is_for_this_kernel_and_calls_only_known_functions(tmp_path: Path) -> None:
    module = event_module.build(kernel(), [MAGIC], tmp_path, architecture())
    assert b"\0vermagic=6.1 SMP mod_unload \0" in module
    listed = subprocess.run(
        ["nm", "--undefined-only", tmp_path / "events.ko"], capture_output=True, check=True
    )
    assert set(re.findall(r"U (\w+)", listed.stdout.decode())) == set(event_module.CALLS)


def test_a_kernel_whose_function_has_changed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="fsnotify"):
        event_module.build(kernel(fsnotify=8), [MAGIC], tmp_path, architecture())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with the compiler's sanitizers, which abort it at an error."""
    made = tmp_path_factory.mktemp("events") / "events"
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra")
    source = FILES / "source" / "events.c"
    subprocess.run(["cc", "-O1", "-Werror", *checks, "-o", made, source], check=True)
    return made


class Running:
    """The program, with a plain file where the guest has the module's parameter."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.file, self.path = folder / "file", folder / "sock"
        self.file.touch()
        self.process = subprocess.Popen([program, self.path, self.file])

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + PATIENCE
        while connection.connect_ex(str(self.path)) != 0:
            assert time.monotonic() < until
        return connection

    def wait(self, content: bytes) -> None:
        until = time.monotonic() + PATIENCE
        while self.file.read_bytes() != content:
            assert time.monotonic() < until, self.file.read_bytes()[-200:]

    def close(self) -> None:
        assert self.process.poll() is None, "the program has ended"
        self.process.kill()
        self.process.wait()


@pytest.fixture
def running(program: Path, tmp_path: Path) -> Iterator[Running]:
    made = Running(program, tmp_path)
    yield made
    made.close()


def test_each_event_is_passed_on_whole(running: Running) -> None:
    events = [b"%d" % number * 500 for number in range(200)]
    stream = b"".join(event + b"\0" for event in events)
    with running.connect() as connection:
        for at in range(0, len(stream), 777):
            connection.sendall(stream[at : at + 777])
        running.wait(b"".join(events))


def test_an_incomplete_event_is_dropped(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(b"whole\0half")
        running.wait(b"whole")
    with running.connect() as connection:
        connection.sendall(b"\0again\0")
        running.wait(b"wholeagain")


def test_an_overlong_event_ends_the_connection(running: Running) -> None:
    with running.connect() as connection, pytest.raises(ConnectionError):
        connection.sendall(b"x" * (1 << 24))
    with running.connect() as connection:
        connection.sendall(b"fine\0")
        running.wait(b"fine")
