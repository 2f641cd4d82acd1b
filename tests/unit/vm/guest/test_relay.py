"""The relay: the guest's real program on this host, behind a terminal line instead of virtio."""

import hashlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.guest.recipe import FILES
from tests.background import Background
from tests.unit.vm.guest.relay_line import Machine, Server
from vm.errors import GuestUnreachable
from vm.guest import ssh_kept
from vm.guest.protocol import Stream
from vm.guest.relay import RelayedGuest, RelayLine, RelayStream
from vm.guest.relay_frames import HEAD, LARGEST, NUMBER, WINDOW, Kind
from vm.guest.ssh_kept import Lost

pytestmark = pytest.mark.timeout(30)  # a fault of the relay is a test that hangs
BIG = os.urandom(1 << 16) * 48  # twelve windows


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the compiler's checks of memory and of undefined behaviour, which end it."""
    made = tmp_path_factory.mktemp("relay") / "relay"
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra")
    source = FILES / "source" / "relay.c"
    subprocess.run(["cc", "-O1", "-Werror", *checks, "-o", made, source], check=True)
    return made


@pytest.fixture
def machine(program: Path) -> Iterator[Machine]:
    made = Machine(program)
    yield made
    made.close()


@pytest.fixture
def line(machine: Machine) -> Iterator[RelayLine]:
    made = RelayLine(machine.connect, 10)
    yield made
    Background().submit(made.close).result()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    servers: list[Server] = []

    def make(talk: Callable[[socket.socket], None]) -> str:
        servers.append(Server(tmp_path / f"{len(servers)}.sock", talk))
        return servers[-1].path

    yield make
    for server in servers:
        server.close()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.sendall(b"that was all")


def read_all(stream: Stream) -> bytes:
    return b"".join(iter(lambda: stream.recv(65536), b""))


def test_bytes_both_ways_and_a_half_close(line: RelayLine, serve: Callable[..., str]) -> None:
    stream = line.dial(serve(echo))
    with Background() as pool:
        back = pool.submit(read_all, stream)
        stream.sendall(BIG)
        stream.shutdown_write()
        assert back.result() == BIG + b"that was all"
    stream.close()


@pytest.mark.parametrize("path", ["/nowhere/at.all", "/dev/null", "/" + "long" * 50])
def test_nobody_listens_there(line: RelayLine, path: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        line.dial(path)
    assert line.alive


def test_two_hundred_at_once(line: RelayLine, serve: Callable[..., str]) -> None:
    path = serve(echo)

    def ask(number: int) -> bytes:
        stream = line.dial(path)
        stream.sendall(b"%d" % number)
        stream.shutdown_write()
        with_end = read_all(stream)
        stream.close()
        return with_end

    with Background() as pool:
        answers = list(pool.map(ask, range(200)))
    assert answers == [b"%dthat was all" % number for number in range(200)]


def test_who_does_not_read_holds_up_nobody_else(line: RelayLine, serve: Callable[..., str]) -> None:
    slow = line.dial(serve(lambda connection: connection.sendall(BIG)))
    quick = line.dial(serve(echo))
    for _ in range(50):
        quick.sendall(b"?")
        assert quick.recv(1) == b"?"
    assert sum(map(len, slow._blocks)) <= WINDOW
    assert hashlib.sha256(read_all(slow)).digest() == hashlib.sha256(BIG).digest()
    slow.close()
    quick.close()


def test_a_server_that_does_not_read_stops_the_sender(
    line: RelayLine, serve: Callable[..., str]
) -> None:
    release = threading.Event()

    def wait_and_read(connection: socket.socket) -> None:
        release.wait()
        connection.sendall(hashlib.sha256(_read_socket(connection)).digest())

    stream = line.dial(serve(wait_and_read))
    with Background() as pool:
        sent = pool.submit(stream.sendall, BIG)
        while stream._credit > 0:
            assert not sent.done()
        release.set()
        sent.result()
        stream.shutdown_write()
        assert read_all(stream) == hashlib.sha256(BIG).digest()
    stream.close()


def _read_socket(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_server_that_leaves_early_is_heard_to_its_end(
    line: RelayLine, serve: Callable[..., str]
) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1)
        connection.shutdown(socket.SHUT_RD)
        connection.sendall(b"too large")

    stream = line.dial(serve(refuse))
    with Background() as pool:
        pool.submit(stream.sendall, BIG)
        assert read_all(stream) == b"too large"
        stream.close()


def test_half_a_frame_reaches_nobody(machine: Machine, serve: Callable[..., str]) -> None:
    heard: list[bytes] = []
    begun, ended = threading.Event(), threading.Event()

    def listen(connection: socket.socket) -> None:
        heard.append(connection.recv(5))
        begun.set()
        heard.append(_read_socket(connection))
        ended.set()

    first = RelayLine(machine.connect, 10)
    stream = first.dial(serve(listen))
    stream.sendall(b"whole")
    assert begun.wait(10)
    half = HEAD.pack(first._session, stream._number, Kind.DATA, LARGEST) + b"half" * 100
    first._socket.sendall(half)
    second = RelayLine(machine.connect, 10)
    assert ended.wait(10)
    assert heard == [b"whole", b""]
    again = second.dial(serve(echo))
    again.sendall(b"hello")
    assert again.recv(10) == b"hello"
    with pytest.raises(OSError, match="lost"):
        read_all(stream)
    second.close()
    first.close()


def test_a_relay_that_starts_again_is_noticed(
    machine: Machine, line: RelayLine, serve: Callable[..., str]
) -> None:
    path = serve(echo)
    stream = line.dial(path)
    machine.kill()
    machine.start()
    with pytest.raises(OSError, match="lost"):
        stream.recv(1)
    with pytest.raises(Lost):
        line.dial(path)
    after = RelayLine(machine.connect, 10)
    again = after.dial(path)
    again.shutdown_write()
    assert read_all(again) == b"that was all"
    after.close()


def test_a_wrong_tail_ends_the_session(line: RelayLine, serve: Callable[..., str]) -> None:
    stream = line.dial(serve(echo))
    head = HEAD.pack(line._session, stream._number, Kind.DATA, 4)
    line._socket.sendall(head + b"data" + NUMBER.pack(line._session ^ 1))
    with pytest.raises(OSError, match="lost"):
        stream.recv(1)
    assert not line.alive


def test_what_comes_is_given_at_once_and_in_order(
    line: RelayLine, serve: Callable[..., str]
) -> None:
    taken: list[bytes] = []
    room = 7

    def sink(data: bytes) -> int:
        taken.append(data[:room])
        return min(room, len(data))

    stream = line.dial(serve(echo))
    stream.give_at_once(sink)

    def read() -> None:
        while data := stream.recv(65536):
            taken.append(data)

    with Background() as pool:
        reading = pool.submit(read)
        stream.sendall(BIG)
        stream.shutdown_write()
        reading.result()
    assert b"".join(taken) == BIG + b"that was all"
    assert any(len(piece) == room for piece in taken)
    stream.close()


class Ssh:
    """Stands for ssh; says that it was asked."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    def dial(self, path: str) -> RelayStream:
        self.dialled.append(path)
        raise ConnectionRefusedError

    def connect(self, deadline: float) -> None:
        self.dialled.append("")

    def close(self) -> None: ...


def test_where_the_relay_says_nothing_ssh_leads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_kept, "LIMIT", 0.5)
    ours, theirs = socket.socketpair()

    def none(until: float) -> socket.socket:
        return theirs.dup()

    ssh = Ssh()
    guest = RelayedGuest(none, ssh)  # type: ignore[arg-type]
    with pytest.raises(ConnectionRefusedError):
        guest.dial("/run/docker.sock")
    assert ssh.dialled == ["/run/docker.sock"]
    ours.close()
    theirs.close()


def test_a_machine_that_is_gone_is_not_looked_for_through_ssh() -> None:
    def refused(until: float) -> socket.socket:
        raise ConnectionRefusedError

    ssh = Ssh()
    guest = RelayedGuest(refused, ssh)  # type: ignore[arg-type]
    with pytest.raises(GuestUnreachable):
        guest.dial("/run/docker.sock")
    assert ssh.dialled == []


def test_a_lost_line_is_made_again(machine: Machine, serve: Callable[..., str]) -> None:
    path = serve(echo)
    guest = RelayedGuest(machine.connect, Ssh())  # type: ignore[arg-type]
    for _ in range(3):
        stream = guest.dial(path)
        stream.shutdown_write()
        assert read_all(stream) == b"that was all"
        assert guest._line is not None
        guest._line._socket.shutdown(socket.SHUT_RDWR)
    guest.close()
