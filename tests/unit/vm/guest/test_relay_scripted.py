"""The host's end of the relay against a guest that says what the test has written down."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.background import Background, Result
from tests.unit.vm.guest.scripted_relay import PATH, Guest, opened, received, until
from vm.guest import relay
from vm.guest.relay import RelayLine, RelayStream
from vm.guest.relay_frames import (
    HIGHEST_ERRNO,
    LARGEST,
    MAGIC,
    NUMBER,
    WINDOW,
    Kind,
)
from vm.guest.ssh_kept import Lost

pytestmark = pytest.mark.timeout(30)  # a fault of the relay is a test that hangs


@pytest.fixture
def new_guest() -> Iterator[Callable[..., Guest]]:
    guests: list[Guest] = []

    def make(before: bytes = b"", after: bytes = b"", pieces: int = 1) -> Guest:
        guests.append(Guest(before, after, pieces))
        return guests[-1]

    yield make
    for guest in guests:
        guest.host.close()


@pytest.fixture
def guest(new_guest: Callable[..., Guest]) -> Guest:
    return new_guest()


@pytest.fixture
def line(guest: Guest) -> Iterator[RelayLine]:
    made = RelayLine(guest.connect, 10)
    yield made
    Background().submit(made.close).result()


@pytest.fixture
def stream(guest: Guest, line: RelayLine) -> RelayStream:
    return opened(guest, line)


# The line


@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_what_came_before_the_greeting_counts_for_nothing(
    new_guest: Callable[..., Guest], pieces: int
) -> None:
    guest = new_guest(b"left of another session" + MAGIC, b"after", pieces)
    line = RelayLine(guest.connect, 10)
    assert line.alive
    assert opened(guest, line)._number == 1
    assert opened(guest, line)._number == 2
    line.close()
    assert not line.alive


def test_a_guest_without_a_greeting_is_waited_for_no_longer_than_asked() -> None:
    host, theirs = socket.socketpair()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        RelayLine(lambda until: theirs, 0.2)
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
        RelayLine(lambda until: theirs, 0.2)
    ended.set()
    host.close()
    assert isinstance(talking.exception(5), OSError | None)


def test_a_guest_that_hangs_up_is_lost() -> None:
    host, theirs = socket.socketpair()
    host.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError, match="was lost"):
        RelayLine(lambda until: theirs, 10)
    host.close()


def test_the_time_that_connecting_may_take_is_told(guest: Guest) -> None:
    asked = []

    def connect(until: float) -> socket.socket:
        asked.append(until - time.monotonic())
        return guest.theirs

    RelayLine(connect, 7).close()
    assert asked == [pytest.approx(7, abs=1)]


def test_a_frame_of_no_connection_is_passed_over(guest: Guest, stream: RelayStream) -> None:
    guest.say(77, Kind.DATA, b"nobody's")
    guest.say(stream._number, Kind.DATA, b"ours")
    assert received(stream) == b"ours"


@pytest.mark.parametrize("hears", [True, False])
def test_what_is_dialled_when_the_line_ends_is_lost(guest: Guest, hears: bool) -> None:
    line = RelayLine(guest.connect, 10)
    dialled = Background().submit(line.dial, PATH)
    if hears:
        guest.hear()
    guest.host.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Lost):
        dialled.result()
    until(lambda: not line.alive)
    with pytest.raises(Lost):
        line.dial(PATH)
    with pytest.raises(ConnectionResetError):
        line.say(1, Kind.END)
    line.close()


def test_whoever_reads_or_writes_when_the_line_ends_is_told(
    guest: Guest, stream: RelayStream
) -> None:
    with Background() as beside:
        reading = beside.submit(stream.recv, 1)
        writing = beside.submit(stream.sendall, bytes(WINDOW + 1))
        for _ in range(WINDOW // LARGEST):
            guest.hear()
        guest.host.shutdown(socket.SHUT_RDWR)
        for waiting in (reading, writing):
            with pytest.raises(ConnectionResetError, match="was lost"):
                waiting.result()
    with pytest.raises(ConnectionResetError):
        stream.shutdown_write()
    stream.close()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.DATA, b""),
        (Kind.CREDIT, b"123"),
        (Kind.REFUSED, b"12345"),
    ],
)
def test_a_violation_cuts_the_line_for_a_while(
    guest: Guest, stream: RelayStream, line: RelayLine, kind: Kind, data: bytes
) -> None:
    assert line.barred_until == 0
    guest.say(stream._number, kind, data)
    until(lambda: not line.alive)
    assert line.barred_until - time.monotonic() == pytest.approx(relay.BACKOFF, abs=2)
    assert guest.hears_no_more()


# A connection


def test_a_silent_relay_is_waited_for_no_longer_than_it_may_be(
    guest: Guest, line: RelayLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "SILENCE", 0.2)
    began = time.monotonic()
    dialled = Background().submit(line.dial, PATH)
    with pytest.raises(Lost):
        dialled.result(5)
    assert time.monotonic() - began >= 0.2
    assert line.alive


def test_one_that_is_slow_but_talks_is_waited_for(
    guest: Guest, line: RelayLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "SILENCE", 1.0)
    dialled: Result[RelayStream] = Background().submit(line.dial, PATH)
    number, _, _ = guest.hear()
    never, began = threading.Event(), time.monotonic()
    while time.monotonic() - began < 2.2:
        never.wait(0.1)
        guest.say(77, Kind.CREDIT, NUMBER.pack(1))
        assert not dialled.done()
    guest.say(number, Kind.OPENED)
    assert dialled.result()._number == number


@pytest.mark.parametrize(
    ("data", "reason"),
    [(NUMBER.pack(111), 111), (b"", 0), (NUMBER.pack(1 << 31), HIGHEST_ERRNO)],
)
def test_a_refusal_has_its_reason(guest: Guest, line: RelayLine, data: bytes, reason: int) -> None:
    dialled = Background().submit(line.dial, PATH)
    number, _, _ = guest.hear()
    guest.say(number, Kind.REFUSED, data)
    with pytest.raises(ConnectionRefusedError) as refused:
        dialled.result()
    assert refused.value.errno == reason
    assert not line._streams
    assert line.alive


def test_the_guest_s_end_is_the_end_of_what_is_read(guest: Guest, stream: RelayStream) -> None:
    guest.say(stream._number, Kind.DATA, b"last")
    guest.say(stream._number, Kind.END)
    assert [received(stream), received(stream), received(stream)] == [b"last", b"", b""]
    stream.sendall(b"still")
    assert guest.hear() == (stream._number, Kind.DATA, b"still")
    stream.shutdown_write()
    assert guest.hear() == (stream._number, Kind.END, b"")


def test_one_that_the_guest_has_forgotten_is_lost_after_what_it_sent(
    guest: Guest, stream: RelayStream
) -> None:
    guest.say(stream._number, Kind.DATA, b"last")
    guest.say(stream._number, Kind.CLOSE)
    assert received(stream) == b"last"
    for use in (lambda: stream.recv(1), lambda: stream.sendall(b"x"), stream.shutdown_write):
        with pytest.raises(ConnectionResetError):
            Background().submit(use).result()
    stream.close()
    assert guest.hears_no_more(), "and is not told to forget it"


def test_a_reader_is_woken_when_the_guest_forgets_it(guest: Guest, stream: RelayStream) -> None:
    reading = Background().submit(stream.recv, 1)
    until(lambda: stream._waiting)
    guest.say(stream._number, Kind.CLOSE)
    with pytest.raises(ConnectionResetError):
        reading.result()


def test_close_tells_the_guest_once_and_wakes_who_waits(
    guest: Guest, line: RelayLine, stream: RelayStream
) -> None:
    with Background() as beside:
        reading = beside.submit(stream.recv, 1)
        writing = beside.submit(stream.sendall, bytes(WINDOW + 1))
        sent = [guest.hear() for _ in range(WINDOW // LARGEST)]
        assert {kind for _, kind, _ in sent} == {Kind.DATA}
        until(lambda: stream._waiting)
        stream.close()
        for waiting in (reading, writing):
            with pytest.raises(ConnectionResetError):
                waiting.result()
    stream.close()
    assert guest.hear() == (stream._number, Kind.CLOSE, b"")
    assert not line._streams
    with pytest.raises(ConnectionResetError):
        stream.shutdown_write()
    assert guest.hears_no_more()


def test_what_is_sent_is_cut_and_waits_for_credit(guest: Guest, stream: RelayStream) -> None:
    data = bytes(range(256)) * (WINDOW // 256) + b"more than the window"
    sending = Background().submit(stream.sendall, data)
    heard = b""
    while len(heard) < WINDOW:
        _, kind, piece = guest.hear()
        assert kind == Kind.DATA
        assert len(piece) == LARGEST
        heard += piece
    assert not sending.done()
    guest.say(stream._number, Kind.CREDIT, NUMBER.pack(4))
    heard += guest.hear()[2]
    guest.say(stream._number, Kind.CREDIT, NUMBER.pack(1000))
    heard += guest.hear()[2]
    sending.result()
    assert heard == data


def test_as_much_is_read_as_was_asked_for_and_in_order(guest: Guest, stream: RelayStream) -> None:
    big = b"b" * relay.SMALL
    for piece in (big, b"1", b"2", big, b"3"):
        guest.say(stream._number, Kind.DATA, piece)
    until(lambda: stream._received == 2 * relay.SMALL + 3)
    assert len(stream._blocks) == 3, "small ones are one"
    assert received(stream, 2) == b"bb"
    assert received(stream, relay.SMALL) == big[2:] + b"12"
    assert received(stream) == big + b"3"


def test_what_was_taken_is_given_back_when_it_matters(guest: Guest, stream: RelayStream) -> None:
    piece = bytes(LARGEST)
    for _ in range(relay.GRANT // LARGEST):
        guest.say(stream._number, Kind.DATA, piece)
    until(lambda: stream._received == relay.GRANT)
    assert len(received(stream, relay.GRANT - 1)) == relay.GRANT - 1
    assert len(received(stream)) == 1
    assert guest.hear() == (stream._number, Kind.CREDIT, NUMBER.pack(relay.GRANT))
    until(lambda: stream._received == 0)
    guest.say(stream._number, Kind.DATA, piece)
    assert received(stream) == piece
    assert guest.hears_no_more()


def test_a_guest_that_sends_all_that_it_may_is_heard_and_not_one_byte_more(
    guest: Guest, line: RelayLine, stream: RelayStream
) -> None:
    for _ in range(WINDOW // LARGEST):
        guest.say(stream._number, Kind.DATA, bytes(LARGEST))
    until(lambda: stream._received == WINDOW)
    assert line.alive
    guest.say(stream._number, Kind.DATA, b"1")
    until(lambda: not line.alive)
    assert line.barred_until


def test_what_is_left_by_who_takes_at_once_is_read(guest: Guest, stream: RelayStream) -> None:
    taken: list[bytes] = []

    def sink(data: bytes) -> int:
        taken.append(data[:2])
        if len(taken) > 1:
            raise OSError
        return 2

    stream.give_at_once(sink)
    guest.say(stream._number, Kind.DATA, b"before")
    until(lambda: bool(stream._blocks))
    assert not taken, "nobody waits"
    assert received(stream) == b"before"
    reading = Background().submit(stream.recv, 10)
    until(lambda: stream._waiting)
    guest.say(stream._number, Kind.DATA, b"12345")
    assert reading.result() == b"345"
    reading = Background().submit(stream.recv, 10)
    until(lambda: stream._waiting)
    guest.say(stream._number, Kind.DATA, b"678")
    assert reading.result() == b"678", "it takes none any more"
    assert taken == [b"12", b"67"]
    assert stream._taken == len(b"before") + len(b"12345") + len(b"678")
