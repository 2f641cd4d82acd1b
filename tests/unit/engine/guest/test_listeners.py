"""The guest's program that lists the ports of listening containers, on this computer's own kernel.

Sockets and cgroups are real. The tracefs files are not, because not every kernel has the events: a
test writes to the event pipe in place of the kernel.
"""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.guest.recipe import FILES

PATIENCE = 20.0
CHECKS = ("-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined")
EVENTS = {
    "events/galley/udp_v4_get_port/filter",
    "events/galley/udp_v6_get_port/filter",
    "events/galley/udp_lib_unhash/filter",
    "events/sock/inet_sock_set_state/filter",
}
SWITCHES = ("events/galley/enable", "events/sock/inet_sock_set_state/enable")
# A container's process: opens a socket for each line; "close" closes all of them.
OPENER = """
import socket, sys
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
held = []
for line in sys.stdin:
    if line == "close\\n":
        [one.close() for one in held]
    else:
        kind, address, port, only_ipv6 = line.split()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        one = socket.socket(family, socket.SOCK_DGRAM if "udp" in kind else socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_ipv6))
        one.bind((address, int(port)))
        held.append(one)
        if kind == "tcp":
            one.listen()
        if kind == "udp-client":
            one.connect((address, 9))
    print(held[-1].getsockname()[1] if line != "close\\n" else 0, flush=True)
"""


class Container:
    """A process in a cgroup below one that is named after a container's id."""

    def __init__(self) -> None:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        self.cgroups = Path(next(one[1] for one in mounts if one[2] == "cgroup2"))
        self.id = uuid.uuid4().hex * 2
        self._inner = self.cgroups / f"galley-{self.id[:8]}" / self.id / "init.scope"
        self._inner.mkdir(parents=True)
        words = [sys.executable, "-c", OPENER, str(self._inner)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)

    def open(self, kind: str, address: str, port: int = 0, *, only_ipv6: bool = False) -> int:
        return self._request(f"{kind} {address} {port} {int(only_ipv6)}")

    def close(self) -> None:
        self._request("close")

    def end(self) -> None:
        self._process.communicate(timeout=PATIENCE)
        for folder in (self._inner, self._inner.parent, self._inner.parent.parent):
            folder.rmdir()

    def _request(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Program:
    def __init__(self, binary: Path, folder: Path, cgroups: Path) -> None:
        self.instance = folder / "instances" / "galley"
        files = [folder / "kprobe_events"]
        names = (*EVENTS, *SWITCHES, "buffer_size_kb", "buffer_percent")
        files += [self.instance / name for name in names]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        os.mkfifo(self.instance / "trace_pipe")
        self._events = os.open(self.instance / "trace_pipe", os.O_RDWR)
        self._socket = folder / "socket"
        self.process = subprocess.Popen([binary, self._socket, cgroups, folder])

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        until = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None
            assert time.monotonic() < until, "the program does not listen"
            try:
                connection.connect(str(self._socket))
                return connection
            except OSError:
                os.sched_yield()

    def write_event(self) -> None:
        os.write(self._events, b"an event\n")

    def switch_contents(self) -> tuple[str, ...]:
        return tuple((self.instance / name).read_text() for name in SWITCHES)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self._events)


def read_list(connection: socket.socket) -> set[str]:
    """Read one list, without the containers' ids."""
    received = b""
    while not received.endswith(b"\n\n") and received != b"\n":
        more = connection.recv(65536)
        assert more, "the program closed the connection"
        received += more
    return {line.rpartition(" ")[0] for line in received.decode().splitlines() if line}


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("listeners") / "listeners"
    source = FILES / "source" / "listeners.c"
    subprocess.run(["cc", "-O1", *CHECKS, "-o", made, source], check=True)
    return made


@pytest.fixture
def container() -> Iterator[Container]:
    made = Container()
    yield made
    made.end()


@pytest.fixture
def program(binary: Path, tmp_path: Path, container: Container) -> Iterator[Program]:
    made = Program(binary, tmp_path, container.cgroups)
    yield made
    made.close()


def test_container_sockets_are_listed_by_the_address_that_reaches_them(
    program: Program, container: Container
) -> None:
    with socket.create_server(("127.0.0.1", 0)):  # of no container
        anywhere = container.open("tcp", "0.0.0.0")
        container.open("tcp", "127.0.0.1", 18001)
        container.open("tcp", "::", 18002)
        container.open("tcp", "::", 18003, only_ipv6=True)
        container.open("tcp", "::1", 18004)
        container.open("tcp", "::ffff:127.0.0.1", 18005)
        container.open("udp", "0.0.0.0", 18001)
        container.open("udp-client", "127.0.0.1", 18002)
        with program.connect() as connection:
            assert read_list(connection) == {
                f"tcp 0.0.0.0 {anywhere}",
                "tcp 127.0.0.1 18001",
                "tcp 0.0.0.0 18002",
                "tcp :: 18003",
                "tcp ::1 18004",
                "tcp 127.0.0.1 18005",
                "udp 0.0.0.0 18001",
            }
            line = f"tcp 127.0.0.1 18001 {container.id}\n"
        with program.connect() as connection:
            assert line in connection.recv(65536).decode()


def test_the_list_is_sent_again_when_an_event_changes_it(
    program: Program, container: Container
) -> None:
    with program.connect() as connection:
        assert read_list(connection) == set()
        container.open("tcp", "127.0.0.1", 18001)
        program.write_event()
        assert read_list(connection) == {"tcp 127.0.0.1 18001"}
        program.write_event()  # an unrelated event
        container.close()
        program.write_event()
        assert read_list(connection) == set()


def test_a_udp_socket_on_an_ephemeral_port_is_listed_when_it_lasts(
    program: Program, container: Container
) -> None:
    lasting = container.open("udp", "0.0.0.0")
    with program.connect() as connection:
        assert read_list(connection) == set()
        assert read_list(connection) == {f"udp 0.0.0.0 {lasting}"}, "no event was needed"


def test_events_are_enabled_while_the_host_is_connected(program: Program) -> None:
    with program.connect() as connection:
        read_list(connection)
        assert program.switch_contents() == ("1", "1")
        for name in EVENTS:
            assert (program.instance / name).read_text(), name
    # The program accepts this connection after it has seen the end of the first.
    with program.connect() as connection:
        read_list(connection)
        assert program.switch_contents() == ("101", "101")
