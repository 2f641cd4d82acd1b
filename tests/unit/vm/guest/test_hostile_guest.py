"""Root in the guest sends data that no program of Galley sends: memory stays bounded, and invalid
data ends the connection. The tests count the bytes that are held, not the memory of the process."""

import contextlib
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from tests.unit.engine.bridge.servers import Sshd, wait_until
from vm.backends.fake import SocketStream
from vm.errors import GuestUnreachable, MachineError
from vm.guest import ssh
from vm.guest.agent import LINE_LIMIT, GuestAgent
from vm.guest.ssh import SshGuest
from vm.guest.ssh_wire import GREETING, Inbox, Wire
from vm.guest.stream import session
from vm.guest.stream.channel import GRANT, SMALL, Channel
from vm.guest.stream.frames import HEAD, LARGEST, MAGIC, NUMBER, WINDOW, ZEROS, Kind, packed
from vm.guest.stream.guest import StreamGuest
from vm.guest.stream.kept import KeptStream
from vm.guest.stream.session import AgentStream

PATIENCE = 20.0  # seconds; only a test that fails waits so long
FLOOD = 64 * 1024 * 1024  # bytes; far more than the host may hold


class Agent:
    """The guest's end of the stream, controlled by the test."""

    def __init__(self) -> None:
        self.side: socket.socket
        self.session = 0
        self.accepts = False  # whether it accepts the first channel after a greeting
        self._sides: list[socket.socket] = []

    def connect(self, until: float) -> socket.socket:
        """Stands in for QEMU's socket; answers the greeting at once."""
        self.side, host = socket.socketpair()
        self._sides.append(self.side)
        self.side.settimeout(PATIENCE)
        threading.Thread(target=self._greet, args=(self.side,), daemon=True).start()
        return host

    def _greet(self, side: socket.socket) -> None:
        hello = self._receive(side, len(ZEROS) + len(MAGIC) + 16)[len(ZEROS) :]
        self.session = NUMBER.unpack_from(hello, len(MAGIC))[0]
        side.sendall(hello)
        if self.accepts:
            self._answer()

    def close(self) -> None:
        for side in self._sides:
            side.close()

    def _receive(self, side: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = side.recv(size - len(data))
            assert more
            data += more
        return data

    def frame(self) -> tuple[int, int, bytes]:
        """The next frame from the host: channel number, kind, data."""
        _, number, kind, length = HEAD.unpack(self._receive(self.side, HEAD.size))
        data = self._receive(self.side, length)
        self._receive(self.side, NUMBER.size)
        return number, kind, data

    def send(self, number: int, kind: Kind, data: bytes = b"") -> None:
        self.side.sendall(packed(self.session, number, kind, data))

    def accept(self) -> None:
        """Accepts the next channel."""
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        number, kind, _ = self.frame()
        assert kind == Kind.OPEN
        self.send(number, Kind.OPENED)

    def flood(self, blocks: Iterator[bytes]) -> None:
        """Sends all blocks, or until the host closes the stream."""
        with contextlib.suppress(OSError):
            for block in blocks:
                self.side.sendall(block)


@pytest.fixture
def guest() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


@pytest.fixture
def stream(guest: Agent) -> Iterator[AgentStream]:
    made = AgentStream(guest.connect, PATIENCE)
    yield made
    made.close()


@pytest.fixture
def channel(guest: Agent, stream: AgentStream) -> Channel:
    """An open channel without a reader."""
    guest.accept()
    return stream.open("/run/docker.sock")


def held(channel: Channel) -> int:
    return sum(map(len, channel._blocks))


def test_more_than_the_window_ends_the_session(
    guest: Agent, stream: AgentStream, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    block = packed(guest.session, channel._number, Kind.DATA, bytes(LARGEST))
    guest.flood(itertools.repeat(block, FLOOD // LARGEST))
    wait_until(lambda: not stream.alive)
    assert held(channel) <= WINDOW
    assert "broke the agent stream's protocol" in caplog.text
    with pytest.raises(OSError, match="lost"):
        channel.sendall(b"?")


def test_a_full_window_is_accepted_and_credited_when_it_is_read(
    guest: Agent, stream: AgentStream, channel: Channel
) -> None:
    for _ in range(3):
        for _ in range(WINDOW // LARGEST):
            guest.send(channel._number, Kind.DATA, bytes(LARGEST))
        wait_until(lambda: held(channel) == WINDOW)
        read = 0
        while read < WINDOW:
            read += len(channel.recv(WINDOW))
        credited = 0
        while credited < WINDOW:
            number, kind, data = guest.frame()
            assert (number, kind) == (channel._number, Kind.CREDIT)
            credited += NUMBER.unpack(data)[0]
        assert credited == WINDOW
    assert stream.alive


def test_data_beyond_the_granted_credit_ends_the_session(
    guest: Agent, stream: AgentStream, channel: Channel
) -> None:
    """Data that was read, but not yet credited, still counts."""
    size = GRANT // 2
    for _ in range(size // LARGEST):
        guest.send(channel._number, Kind.DATA, bytes(LARGEST))
    wait_until(lambda: held(channel) == size)
    assert len(channel.recv(size)) == size
    for _ in range((WINDOW - size) // LARGEST):
        guest.send(channel._number, Kind.DATA, bytes(LARGEST))
    wait_until(lambda: held(channel) == WINDOW - size)
    assert stream.alive
    guest.send(channel._number, Kind.DATA, b"x")
    wait_until(lambda: not stream.alive)


def test_tiny_frames_take_no_more_memory(
    guest: Agent, stream: AgentStream, channel: Channel
) -> None:
    block = packed(guest.session, channel._number, Kind.DATA, b"x")
    guest.flood(iter([block * 1024] * (WINDOW // 1024)))
    wait_until(lambda: held(channel) == WINDOW)
    assert len(channel._blocks) <= WINDOW // SMALL
    assert stream.alive


VIOLATIONS: dict[str, Callable[[int, int], bytes]] = {
    "no data": lambda session, number: packed(session, number, Kind.DATA, b""),
    "credit without a number": lambda session, number: packed(session, number, Kind.CREDIT, b""),
    "credit of two numbers": lambda session, number: packed(session, number, Kind.CREDIT, bytes(8)),
    "a refusal of one byte": lambda session, number: packed(session, number, Kind.REFUSED, b"x"),
    "too long": lambda session, number: HEAD.pack(session, number, Kind.DATA, LARGEST + 1),
    "another session": lambda session, number: packed(session ^ 1, number, Kind.DATA, b"x"),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_of_the_protocol_ends_the_session(
    guest: Agent, stream: AgentStream, channel: Channel, violation: str
) -> None:
    guest.side.sendall(VIOLATIONS[violation](guest.session, channel._number))
    wait_until(lambda: not stream.alive)
    stream._reader.join(PATIENCE)
    assert not stream._reader.is_alive()
    # After these two, the stream is not barred: the agent may have been killed in the middle.
    is_barred = violation not in ("too long", "another session")
    assert (stream.barred_until > 0.0) == is_barred


def test_a_refusal_with_an_invalid_errno_is_a_refused_connection(
    guest: Agent, stream: AgentStream
) -> None:
    def refuse() -> None:
        number, _, _ = guest.frame()
        guest.send(number, Kind.REFUSED, NUMBER.pack(0xFFFFFFFF))

    threading.Thread(target=refuse, daemon=True).start()
    with pytest.raises(ConnectionRefusedError):
        stream.open("/run/docker.sock")


class Ssh:
    def __init__(self) -> None:
        self.dialled = 0

    def dial(self, path: str) -> Channel:
        self.dialled += 1
        raise ConnectionRefusedError

    def close(self) -> None: ...


def test_after_a_violation_ssh_is_used_until_the_backoff_ends(
    guest: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "BACKOFF", 4.0)  # longer than the retries of a call
    guest.accepts = True
    by_ssh = Ssh()
    guest_by_stream = StreamGuest(KeptStream(guest.connect), by_ssh)  # type: ignore[arg-type]
    guest_by_stream.dial("/run/docker.sock")
    first = guest_by_stream._stream._stream
    assert first is not None
    guest.side.sendall(packed(guest.session, 1, Kind.DATA, b""))
    wait_until(lambda: not first.alive)
    with pytest.raises(ConnectionRefusedError):
        guest_by_stream.dial("/run/docker.sock")
    assert by_ssh.dialled == 1
    wait_until(lambda: time.monotonic() > first.barred_until)
    guest_by_stream.dial("/run/docker.sock")
    assert by_ssh.dialled == 1
    guest_by_stream.close()


@pytest.fixture
def agent() -> Iterator[tuple[GuestAgent, socket.socket]]:
    """A client of the guest agent, and the agent's end of its next connection."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENCE)
    yield GuestAgent(lambda path: SocketStream(ours)), theirs
    theirs.close()
    ours.close()


def flood(side: socket.socket, block: bytes) -> None:
    with contextlib.suppress(OSError):
        for _ in range(FLOOD // len(block)):
            side.sendall(block)


def test_an_endless_line_of_the_agent_is_an_error(agent: tuple[GuestAgent, socket.socket]) -> None:
    client, side = agent
    flooding = threading.Thread(target=flood, args=(side, b"x" * 4096))
    side.sendall(b"ok\n")
    watch = client.watch_clock()
    flooding.start()
    with pytest.raises(GuestUnreachable, match="too long"):
        watch.wait()
    assert len(watch._guest._received) <= LINE_LIMIT + 4096
    flooding.join(PATIENCE)
    assert not flooding.is_alive()


@pytest.mark.parametrize("number", ["9" * 5000, "²", "٣"])
def test_an_invalid_number_of_the_agent_is_an_error(
    agent: tuple[GuestAgent, socket.socket], number: str
) -> None:
    client, side = agent
    side.sendall(f"ok {number}\n".encode())
    with pytest.raises(MachineError, match="refused trim"):
        client.trim()


def test_more_than_the_window_of_an_ssh_channel_is_refused() -> None:
    inbox = Inbox(1000)
    for _ in range(10):
        inbox.feed(bytes(100))
    with pytest.raises(OSError, match="unasked"):
        inbox.feed(b"x")
    other = Inbox(1 << 20)
    for _ in range(100_000):
        other.feed(b"")
        other.feed(b"x")
    assert len(other._chunks) < 100
    read = 0
    while read < 100_000:
        read += len(other.read(1 << 16))
    other.feed(bytes(1 << 20))


@pytest.fixture
def wire() -> Iterator[Wire]:
    """The other end sends up to FLOOD bytes, then closes."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs:
            flood(theirs, b"x" * 65536)

    flooding = threading.Thread(target=send)
    flooding.start()
    made = Wire(ours)
    yield made
    made.close()
    flooding.join(PATIENCE)


def read_all(wire: Wire) -> int:
    return sum(map(len, iter(lambda: wire.recv(65536), b"")))


def test_an_endless_ssh_greeting_is_refused(wire: Wire) -> None:
    with pytest.raises(OSError, match="without end"):
        read_all(wire)


def test_data_after_the_login_is_not_limited(wire: Wire) -> None:
    wire.wait_for_all()
    assert read_all(wire) == FLOOD > GREETING


def test_an_ssh_packet_that_is_too_long_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(paramiko.SSHException, match="a packet of"):
        ssh._Packetizer(ours).read_all(1 << 30)


@pytest.fixture
def by_ssh(tmp_path: Path) -> Iterator[SshGuest]:
    server = Sshd(tmp_path)
    server.start()
    made = server.guest()
    yield made
    made.close()
    server.stop()


def test_a_command_with_too_much_output_is_an_error(
    by_ssh: SshGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "OUTPUT_LIMIT", 1 << 20)
    with pytest.raises(MachineError, match="too much"):
        by_ssh.run(("yes",), timeout=PATIENCE)
    assert by_ssh.run(("echo", "on")).stdout == b"on\n"
