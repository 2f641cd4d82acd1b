"""The agent stream with the guest's real program, behind a terminal line instead of virtio."""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.background import Background
from tests.unit.engine.bridge.servers import wait_until
from tests.unit.vm.guest.stream.port import Machine, Server
from vm.errors import GuestUnreachable
from vm.guest import ssh_kept
from vm.guest.protocol import Stream
from vm.guest.ssh_kept import Lost
from vm.guest.stream.channel import Channel
from vm.guest.stream.frames import HEAD, LARGEST, NUMBER, WINDOW, Kind
from vm.guest.stream.guest import StreamGuest
from vm.guest.stream.kept import KeptStream
from vm.guest.stream.session import AgentStream

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs
BIG = os.urandom(1 << 16) * 48  # twelve windows


@pytest.fixture
def stream(machine: Machine) -> Iterator[AgentStream]:
    made = AgentStream(machine.connect, 10)
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


def read_all(channel: Stream) -> bytes:
    return b"".join(iter(lambda: channel.recv(65536), b""))


def test_bytes_both_ways_and_a_half_close(stream: AgentStream, serve: Callable[..., str]) -> None:
    channel = stream.open(serve(echo))
    with Background() as pool:
        back = pool.submit(read_all, channel)
        channel.sendall(BIG)
        channel.shutdown_write()
        assert back.result() == BIG + b"that was all"
    channel.close()


@pytest.mark.parametrize("path", ["/nowhere/at.all", "/dev/null", "/" + "long" * 50])
def test_nobody_listens_there(stream: AgentStream, path: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        stream.open(path)
    assert stream.alive


def test_two_hundred_at_once(stream: AgentStream, serve: Callable[..., str]) -> None:
    path = serve(echo)

    def ask(number: int) -> bytes:
        channel = stream.open(path)
        channel.sendall(b"%d" % number)
        channel.shutdown_write()
        with_end = read_all(channel)
        channel.close()
        return with_end

    with Background() as pool:
        answers = list(pool.map(ask, range(200)))
    assert answers == [b"%dthat was all" % number for number in range(200)]


def test_who_does_not_read_holds_up_nobody_else(
    stream: AgentStream, serve: Callable[..., str]
) -> None:
    slow = stream.open(serve(lambda connection: connection.sendall(BIG)))
    quick = stream.open(serve(echo))
    for _ in range(50):
        quick.sendall(b"?")
        assert quick.recv(1) == b"?"
    assert sum(map(len, slow._blocks)) <= WINDOW
    assert hashlib.sha256(read_all(slow)).digest() == hashlib.sha256(BIG).digest()
    slow.close()
    quick.close()


def test_a_server_that_does_not_read_stops_the_sender(
    stream: AgentStream, serve: Callable[..., str]
) -> None:
    release = threading.Event()

    def wait_and_read(connection: socket.socket) -> None:
        release.wait()
        connection.sendall(hashlib.sha256(_read_socket(connection)).digest())

    channel = stream.open(serve(wait_and_read))
    with Background() as pool:
        sent = pool.submit(channel.sendall, BIG)
        while channel._credit > 0:
            assert not sent.done()
        release.set()
        sent.result()
        channel.shutdown_write()
        assert read_all(channel) == hashlib.sha256(BIG).digest()
    channel.close()


def _read_socket(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_host_that_sends_without_credit_loses_the_session(
    stream: AgentStream, serve: Callable[..., str]
) -> None:
    release = threading.Event()
    channel = stream.open(serve(lambda connection: release.wait()))
    channel._credit -= 8 * WINDOW  # it is granted again what the socket's buffer takes
    with contextlib.suppress(OSError):
        for _ in range(8 * WINDOW // LARGEST):
            stream.send(channel._number, Kind.DATA, bytes(LARGEST))
    wait_until(lambda: not stream.alive)
    assert stream.barred_until == 0, "the agent ended it"
    release.set()


def test_a_server_that_leaves_early_is_heard_to_its_end(
    stream: AgentStream, serve: Callable[..., str]
) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1)
        connection.shutdown(socket.SHUT_RD)
        connection.sendall(b"too large")

    channel = stream.open(serve(refuse))
    with Background() as pool:
        pool.submit(channel.sendall, BIG)
        assert read_all(channel) == b"too large"
        channel.close()


def test_half_a_frame_reaches_nobody(machine: Machine, serve: Callable[..., str]) -> None:
    heard: list[bytes] = []
    begun, ended = threading.Event(), threading.Event()

    def listen(connection: socket.socket) -> None:
        heard.append(connection.recv(5))
        begun.set()
        heard.append(_read_socket(connection))
        ended.set()

    first = AgentStream(machine.connect, 10)
    channel = first.open(serve(listen))
    channel.sendall(b"whole")
    assert begun.wait(10)
    half = HEAD.pack(first._session, channel._number, Kind.DATA, LARGEST) + b"half" * 100
    first._socket.sendall(half)
    second = AgentStream(machine.connect, 10)
    assert ended.wait(10)
    assert heard == [b"whole", b""]
    again = second.open(serve(echo))
    again.sendall(b"hello")
    assert again.recv(10) == b"hello"
    with pytest.raises(OSError, match="lost"):
        read_all(channel)
    second.close()
    first.close()


def test_an_agent_that_starts_again_is_noticed(
    machine: Machine, stream: AgentStream, serve: Callable[..., str]
) -> None:
    path = serve(echo)
    channel = stream.open(path)
    machine.kill()
    machine.start()
    with pytest.raises(OSError, match="lost"):
        channel.recv(1)
    with pytest.raises(Lost):
        stream.open(path)
    after = AgentStream(machine.connect, 10)
    again = after.open(path)
    again.shutdown_write()
    assert read_all(again) == b"that was all"
    after.close()


def test_a_wrong_tail_ends_the_session(stream: AgentStream, serve: Callable[..., str]) -> None:
    channel = stream.open(serve(echo))
    head = HEAD.pack(stream._session, channel._number, Kind.DATA, 4)
    stream._socket.sendall(head + b"data" + NUMBER.pack(stream._session ^ 1))
    with pytest.raises(OSError, match="lost"):
        channel.recv(1)
    assert not stream.alive


def test_what_comes_is_given_at_once_and_in_order(
    stream: AgentStream, serve: Callable[..., str]
) -> None:
    taken: list[bytes] = []
    room = 7

    def sink(data: bytes) -> int:
        taken.append(data[:room])
        return min(room, len(data))

    channel = stream.open(serve(echo))
    channel.give_at_once(sink)

    def read() -> None:
        while data := channel.recv(65536):
            taken.append(data)

    with Background() as pool:
        reading = pool.submit(read)
        channel.sendall(BIG)
        channel.shutdown_write()
        reading.result()
    assert b"".join(taken) == BIG + b"that was all"
    assert any(len(piece) == room for piece in taken)
    channel.close()


class Ssh:
    """Stands for ssh; says that it was asked."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    def dial(self, path: str) -> Channel:
        self.dialled.append(path)
        raise ConnectionRefusedError

    def connect(self, deadline: float) -> None:
        self.dialled.append("")

    def close(self) -> None: ...


def test_where_the_agent_says_nothing_ssh_leads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_kept, "LIMIT", 0.5)
    ours, theirs = socket.socketpair()

    def none(until: float) -> socket.socket:
        return theirs.dup()

    ssh = Ssh()
    guest = StreamGuest(KeptStream(none), ssh)  # type: ignore[arg-type]
    with pytest.raises(ConnectionRefusedError):
        guest.dial("/run/docker.sock")
    assert ssh.dialled == ["/run/docker.sock"]
    ours.close()
    theirs.close()


def test_a_machine_that_is_gone_is_not_looked_for_through_ssh() -> None:
    def refused(until: float) -> socket.socket:
        raise ConnectionRefusedError

    ssh = Ssh()
    guest = StreamGuest(KeptStream(refused), ssh)  # type: ignore[arg-type]
    with pytest.raises(GuestUnreachable):
        guest.dial("/run/docker.sock")
    assert ssh.dialled == []


def test_a_lost_session_is_made_again(machine: Machine, serve: Callable[..., str]) -> None:
    path = serve(echo)
    guest = StreamGuest(KeptStream(machine.connect), Ssh())  # type: ignore[arg-type]
    for _ in range(3):
        channel = guest.dial(path)
        channel.shutdown_write()
        assert read_all(channel) == b"that was all"
        assert guest._stream._stream is not None
        guest._stream._stream._socket.shutdown(socket.SHUT_RDWR)
    guest.close()
