"""A session of the agent stream with a scripted guest."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.background import Background
from tests.unit.vm.guest.stream.scripted import PATH, Guest, opened, received, until
from vm.guest.ssh_kept import Lost
from vm.guest.stream import session
from vm.guest.stream.channel import Channel
from vm.guest.stream.frames import LARGEST, MAGIC, NUMBER, WINDOW, Kind
from vm.guest.stream.session import AgentStream

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs


@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_what_came_before_the_greeting_counts_for_nothing(
    new_guest: Callable[..., Guest], pieces: int
) -> None:
    guest = new_guest(b"left of another session" + MAGIC, b"after", pieces)
    stream = AgentStream(guest.connect, 10)
    assert stream.alive
    assert opened(guest, stream)._number == 1
    assert opened(guest, stream)._number == 2
    stream.close()
    assert not stream._channels, "its thread has ended"
    assert not stream.alive


def test_a_guest_without_a_greeting_is_waited_for_no_longer_than_asked() -> None:
    host, theirs = socket.socketpair()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        AgentStream(lambda until: theirs, 0.2)
    assert 0.2 <= time.monotonic() - began < 5
    assert theirs.fileno() == -1, "it is closed"
    host.close()


def test_a_guest_that_talks_without_a_greeting_is_waited_for_no_longer() -> None:
    host, theirs = socket.socketpair()
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(0.01):
            host.send(b"noise")

    talking = Background().submit(talk)
    with pytest.raises(TimeoutError):
        AgentStream(lambda until: theirs, 0.2)
    ended.set()
    host.close()
    assert isinstance(talking.exception(5), OSError | None)


def test_a_guest_that_reads_nothing_is_waited_for_no_longer() -> None:
    host, theirs = socket.socketpair()
    with contextlib.suppress(BlockingIOError):
        while True:
            theirs.send(bytes(1 << 16), socket.MSG_DONTWAIT)
    with pytest.raises(TimeoutError):
        Background().submit(AgentStream, lambda until: theirs, 0.2).result(5)
    assert theirs.fileno() == -1, "it is closed"
    host.close()


def test_a_guest_that_hangs_up_is_lost() -> None:
    host, theirs = socket.socketpair()
    host.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError, match="was lost"):
        AgentStream(lambda until: theirs, 10)
    host.close()


def test_the_time_that_connecting_may_take_is_told(guest: Guest) -> None:
    asked = []

    def connect(until: float) -> socket.socket:
        asked.append(until - time.monotonic())
        return guest.theirs

    AgentStream(connect, 7).close()
    assert asked == [pytest.approx(7, abs=1)]


def test_a_frame_of_no_connection_is_passed_over(guest: Guest, channel: Channel) -> None:
    guest.say(77, Kind.DATA, b"nobody's")
    guest.say(channel._number, Kind.DATA, b"ours")
    assert received(channel) == b"ours"


@pytest.mark.parametrize("hears", [True, False])
def test_what_is_dialled_when_the_line_ends_is_lost(guest: Guest, hears: bool) -> None:
    stream = AgentStream(guest.connect, 10)
    dialled = Background().submit(stream.open, PATH)
    if hears:
        guest.hear()
    guest.host.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Lost):
        dialled.result()
    until(lambda: not stream.alive)
    with pytest.raises(Lost):
        stream.open(PATH)
    until(lambda: not stream._channels)
    with pytest.raises(ConnectionResetError):
        stream.send(1, Kind.END)
    stream.close()


def test_whoever_reads_or_writes_when_the_line_ends_is_told(guest: Guest, channel: Channel) -> None:
    with Background() as beside:
        reading = beside.submit(channel.recv, 1)
        writing = beside.submit(channel.sendall, bytes(WINDOW + 1))
        for _ in range(WINDOW // LARGEST):
            guest.hear()
        guest.host.shutdown(socket.SHUT_RDWR)
        for waiting in (reading, writing):
            with pytest.raises(ConnectionResetError, match="was lost"):
                waiting.result()
    with pytest.raises(ConnectionResetError):
        channel.shutdown_write()
    channel.close()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.DATA, b""),
        (Kind.CREDIT, b"123"),
        (Kind.REFUSED, b"12345"),
        (Kind.OPENED, b""),  # a second time
        (Kind.CREDIT, NUMBER.pack(1)),  # for nothing
    ],
)
def test_a_violation_cuts_the_line_for_a_while(
    guest: Guest, channel: Channel, stream: AgentStream, kind: Kind, data: bytes
) -> None:
    assert stream.barred_until == 0
    guest.say(channel._number, kind, data)
    until(lambda: not stream.alive)
    assert stream.barred_until - time.monotonic() == pytest.approx(session.BACKOFF, abs=2)
    assert guest.hears_no_more()


def test_a_violation_ends_a_send_that_blocks(
    guest: Guest, stream: AgentStream, channel: Channel
) -> None:
    sending = Background().submit(stream.send, channel._number, Kind.OPEN, bytes(1 << 24))
    until(lambda: stream._sending.locked())
    guest.say(channel._number, Kind.DATA, b"")
    with pytest.raises(OSError, match=r"Broken pipe|lost"):
        sending.result()
    until(lambda: not stream.alive)


def test_data_after_the_end_is_a_violation(
    guest: Guest, stream: AgentStream, channel: Channel
) -> None:
    guest.say(channel._number, Kind.END)
    guest.say(channel._number, Kind.DATA, b"more")
    until(lambda: not stream.alive)
    assert stream.barred_until > 0
    assert received(channel) == b""


@pytest.mark.parametrize("data", [NUMBER.pack(7), NUMBER.pack(7) + b"of a later version"])
def test_the_agent_s_version(guest: Guest, stream: AgentStream, data: bytes) -> None:
    assert stream.version == 1
    guest.say(0, Kind.HELLO, data)
    until(lambda: stream.version == 7)
    assert stream.alive


@pytest.mark.parametrize("data", [b"", b"123"])
def test_a_hello_without_a_version(guest: Guest, stream: AgentStream, data: bytes) -> None:
    guest.say(0, Kind.HELLO, data)
    until(lambda: not stream.alive)
    assert stream.barred_until > 0
