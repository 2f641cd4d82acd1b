"""The host's end of the relay against a guest that says what the test has written down."""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.background import Background, Result
from vm.errors import GuestUnreachable
from vm.guest import relay, ssh_kept
from vm.guest.protocol import Size
from vm.guest.relay import RelayedGuest, RelayLine, RelayStream
from vm.guest.relay_frames import (
    HEAD,
    HIGHEST_ERRNO,
    LARGEST,
    MAGIC,
    NUMBER,
    WINDOW,
    ZEROS,
    Kind,
    frames,
    packed,
)
from vm.guest.ssh_kept import Lost
from vm.host.process import Completed

pytestmark = pytest.mark.timeout(30)  # a fault of the relay is a test that hangs
PATH = "/run/docker.sock"

type Frame = tuple[int, int, bytes]


class Guest:
    """The other end of the line. It greets, and then does what it is told to."""

    def __init__(self, before: bytes, after: bytes, pieces: int) -> None:
        self.before, self.after, self.pieces = before, after, pieces
        self.host, self.theirs = socket.socketpair()
        self.host.settimeout(10)
        self.session = 0
        self._buffer = bytearray()
        self._heard: deque[Frame] = deque()
        self._greeting = threading.Thread(target=self._greet, daemon=True)
        self._greeting.start()

    def connect(self, until: float) -> socket.socket:
        return self.theirs

    def _greet(self) -> None:
        hello = self._read(len(ZEROS) + len(MAGIC) + 16)[len(ZEROS) :]
        self.session = NUMBER.unpack_from(hello, len(MAGIC))[0]
        after = self.after and packed(self.session, 9, Kind.CREDIT, NUMBER.pack(1))
        said = self.before + hello + after
        size = -(-len(said) // self.pieces)
        for start in range(0, len(said), size):
            self.host.sendall(said[start : start + size])

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.host.recv(size - len(data))
        return data

    def hear(self) -> Frame:
        """The next frame of the host's."""
        while not self._heard:
            self._buffer += self.host.recv(1 << 16)
            found = frames(self._buffer, self.session)
            self._heard.extend((number, kind, bytes(data)) for number, kind, data in found)
        return self._heard.popleft()

    def say(self, number: int, kind: Kind, data: bytes = b"") -> None:
        self.host.sendall(packed(self.session, number, kind, data))

    def hears_no_more(self) -> bool:
        """Once the host has closed the line, or this end of it."""
        self.host.settimeout(0.1)
        try:
            return self.host.recv(1) == b""
        except TimeoutError:
            return True


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


def opened(guest: Guest, line: RelayLine) -> RelayStream:
    dialled = Background().submit(line.dial, PATH)
    number, kind, data = guest.hear()
    assert (kind, data) == (Kind.OPEN, PATH.encode())
    guest.say(number, Kind.OPENED)
    return dialled.result()


def received(stream: RelayStream, limit: int = 1 << 20) -> bytes:
    return Background().submit(stream.recv, limit).result()


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end


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


# Beside ssh


class Ssh:
    """Remembers what it was asked; its answers are what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def _ask(self, *words: object) -> Any:
        self.asked.append(words)
        return words

    def connect(self, deadline: float) -> None:
        self._ask("connect", deadline)

    def dial(self, path: str) -> Any:
        return self._ask("dial", path)

    def session(self, argv: tuple[str, ...] | None, size: Size | None, term: str) -> Any:
        return self._ask("session", argv, size, term)

    def run(self, argv: tuple[str, ...], *, stdin: bytes, timeout: float) -> Completed:
        self._ask("run", stdin, timeout)
        return Completed(argv, 3, b"out", b"err")

    def read(self, path: str) -> bytes:
        self._ask("read", path)
        return b"content"

    def write(self, path: str, data: bytes, mode: int) -> None:
        self._ask("write", path, data, mode)

    def close(self) -> None:
        self._ask("close")


def silent(until: float) -> socket.socket:
    raise TimeoutError("it says nothing")


def refused(until: float) -> socket.socket:
    raise ConnectionRefusedError


def test_commands_files_and_terminals_go_by_ssh() -> None:
    ssh, size = Ssh(), Size(80, 24)
    guest: Any = RelayedGuest(silent, ssh)  # type: ignore[arg-type]
    assert guest.session(("sh",), size) == ("session", ("sh",), size, "xterm-256color")
    assert guest.session(None, None, "vt100") == ("session", None, None, "vt100")
    assert guest.run(("id",), stdin=b"in", timeout=5) == Completed(("id",), 3, b"out", b"err")
    guest.run(("id",))
    assert ssh.asked[2:] == [("run", b"in", 5), ("run", b"", 60.0)]
    assert guest.read("/file") == b"content"
    guest.write("/file", b"x")
    guest.write("/file", b"x", 0o600)
    assert ssh.asked[5:] == [("write", "/file", b"x", 0o644), ("write", "/file", b"x", 0o600)]


def test_the_line_is_made_once_and_closed_with_ssh(guest: Guest) -> None:
    ssh = Ssh()
    relayed = RelayedGuest(guest.connect, ssh)  # type: ignore[arg-type]
    relayed.connect(10)
    relayed.connect(10)
    dialled = Background().submit(relayed.dial, PATH)
    guest.say(guest.hear()[0], Kind.OPENED)
    assert isinstance(dialled.result(), RelayStream)
    assert ssh.asked == []
    relayed.close()
    assert ssh.asked == [("close",)]
    assert guest.hears_no_more()


def test_where_the_relay_is_silent_ssh_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_kept, "PATIENCE", 0.0)
    ssh = Ssh()
    RelayedGuest(silent, ssh).connect(10)  # type: ignore[arg-type]
    assert ssh.asked == [("connect", 10)]
    gone = RelayedGuest(refused, ssh)  # type: ignore[arg-type]
    with pytest.raises(GuestUnreachable):
        gone.connect(10)
    assert len(ssh.asked) == 1


def test_a_relay_that_broke_the_protocol_is_left_alone_for_a_while(
    new_guest: Callable[..., Guest],
) -> None:
    guests = [new_guest(), new_guest()]
    made = iter(guests)
    ssh = Ssh()
    relayed = RelayedGuest(lambda until: next(made).theirs, ssh)  # type: ignore[arg-type]
    relayed._kept._patience = 0.0
    relayed.connect(10)
    line = relayed._line
    assert line is not None
    stream = opened(guests[0], line)
    guests[0].host.sendall(HEAD.pack(guests[0].session, stream._number, Kind.DATA, 0))
    guests[0].host.sendall(NUMBER.pack(guests[0].session))
    until(lambda: not line.alive)
    by_ssh: Any = relayed.dial(PATH)
    assert by_ssh == ("dial", PATH)
    line.barred_until = time.monotonic()
    relayed.connect(10)
    assert relayed._line is not line
    assert relayed._line is not None
    assert relayed._line.alive
    relayed.close()
