"""A channel of the agent stream with a scripted guest."""

import threading
import time

import pytest

from tests.background import Background, Result
from tests.unit.vm.guest.stream.scripted import PATH, Guest, received, until
from vm.guest.ssh_kept import Lost
from vm.guest.stream import channel as channel_module
from vm.guest.stream.channel import GRANT, SMALL, Channel
from vm.guest.stream.frames import HIGHEST_ERRNO, LARGEST, NUMBER, WINDOW, Kind
from vm.guest.stream.session import AgentStream

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs


def test_a_silent_relay_is_waited_for_no_longer_than_it_may_be(
    guest: Guest, stream: AgentStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "SILENCE", 0.2)
    began = time.monotonic()
    dialled = Background().submit(stream.open, PATH)
    with pytest.raises(Lost):
        dialled.result(5)
    assert time.monotonic() - began >= 0.2
    assert stream.alive


def test_one_that_is_slow_but_talks_is_waited_for(
    guest: Guest, stream: AgentStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "SILENCE", 1.0)
    dialled: Result[Channel] = Background().submit(stream.open, PATH)
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
def test_a_refusal_has_its_reason(
    guest: Guest, stream: AgentStream, data: bytes, reason: int
) -> None:
    dialled = Background().submit(stream.open, PATH)
    number, _, _ = guest.hear()
    guest.say(number, Kind.REFUSED, data)
    with pytest.raises(ConnectionRefusedError) as refused:
        dialled.result()
    assert refused.value.errno == reason
    assert not stream._channels
    assert stream.alive


def test_the_guest_s_end_is_the_end_of_what_is_read(guest: Guest, channel: Channel) -> None:
    guest.say(channel._number, Kind.DATA, b"last")
    guest.say(channel._number, Kind.END)
    assert [received(channel), received(channel), received(channel)] == [b"last", b"", b""]
    channel.sendall(b"still")
    assert guest.hear() == (channel._number, Kind.DATA, b"still")
    channel.shutdown_write()
    assert guest.hear() == (channel._number, Kind.END, b"")


def test_one_that_the_guest_has_forgotten_is_lost_after_what_it_sent(
    guest: Guest, channel: Channel
) -> None:
    guest.say(channel._number, Kind.DATA, b"last")
    guest.say(channel._number, Kind.CLOSE)
    assert received(channel) == b"last"
    for use in (lambda: channel.recv(1), lambda: channel.sendall(b"x"), channel.shutdown_write):
        with pytest.raises(ConnectionResetError):
            Background().submit(use).result()
    channel.close()
    assert guest.hears_no_more(), "and is not told to forget it"


def test_a_reader_is_woken_when_the_guest_forgets_it(guest: Guest, channel: Channel) -> None:
    reading = Background().submit(channel.recv, 1)
    until(lambda: channel._waiting)
    guest.say(channel._number, Kind.CLOSE)
    with pytest.raises(ConnectionResetError):
        reading.result()


def test_close_tells_the_guest_once_and_wakes_who_waits(
    guest: Guest, stream: AgentStream, channel: Channel
) -> None:
    with Background() as beside:
        reading = beside.submit(channel.recv, 1)
        writing = beside.submit(channel.sendall, bytes(WINDOW + 1))
        sent = [guest.hear() for _ in range(WINDOW // LARGEST)]
        assert {kind for _, kind, _ in sent} == {Kind.DATA}
        until(lambda: channel._waiting)
        channel.close()
        for waiting in (reading, writing):
            with pytest.raises(ConnectionResetError):
                waiting.result()
    channel.close()
    assert guest.hear() == (channel._number, Kind.CLOSE, b"")
    assert not stream._channels
    with pytest.raises(ConnectionResetError):
        channel.shutdown_write()
    assert guest.hears_no_more()


def test_what_is_sent_is_cut_and_waits_for_credit(guest: Guest, channel: Channel) -> None:
    data = bytes(range(256)) * (WINDOW // 256) + b"more than the window"
    sending = Background().submit(channel.sendall, data)
    heard = b""
    while len(heard) < WINDOW:
        _, kind, piece = guest.hear()
        assert kind == Kind.DATA
        assert len(piece) == LARGEST
        heard += piece
    assert not sending.done()
    guest.say(channel._number, Kind.CREDIT, NUMBER.pack(4))
    heard += guest.hear()[2]
    guest.say(channel._number, Kind.CREDIT, NUMBER.pack(1000))
    heard += guest.hear()[2]
    sending.result()
    assert heard == data


def test_as_much_is_read_as_was_asked_for_and_in_order(guest: Guest, channel: Channel) -> None:
    big = b"b" * SMALL
    for piece in (big, b"1", b"2", big, b"3"):
        guest.say(channel._number, Kind.DATA, piece)
    until(lambda: channel._received == 2 * SMALL + 3)
    assert len(channel._blocks) == 3, "small ones are one"
    assert received(channel, 2) == b"bb"
    assert received(channel, SMALL) == big[2:] + b"12"
    assert received(channel) == big + b"3"


def test_what_was_taken_is_given_back_when_it_matters(guest: Guest, channel: Channel) -> None:
    piece = bytes(LARGEST)
    for _ in range(GRANT // LARGEST):
        guest.say(channel._number, Kind.DATA, piece)
    until(lambda: channel._received == GRANT)
    assert len(received(channel, GRANT - 1)) == GRANT - 1
    assert len(received(channel)) == 1
    assert guest.hear() == (channel._number, Kind.CREDIT, NUMBER.pack(GRANT))
    until(lambda: channel._received == 0)
    guest.say(channel._number, Kind.DATA, piece)
    assert received(channel) == piece
    assert guest.hears_no_more()


def test_a_guest_that_sends_all_that_it_may_is_heard_and_not_one_byte_more(
    guest: Guest, stream: AgentStream, channel: Channel
) -> None:
    for _ in range(WINDOW // LARGEST):
        guest.say(channel._number, Kind.DATA, bytes(LARGEST))
    until(lambda: channel._received == WINDOW)
    assert stream.alive
    guest.say(channel._number, Kind.DATA, b"1")
    until(lambda: not stream.alive)
    assert stream.barred_until


def test_what_is_left_by_who_takes_at_once_is_read(guest: Guest, channel: Channel) -> None:
    taken: list[bytes] = []

    def sink(data: bytes) -> int:
        taken.append(data[:2])
        if len(taken) > 1:
            raise OSError
        return 2

    channel.give_at_once(sink)
    guest.say(channel._number, Kind.DATA, b"before")
    until(lambda: bool(channel._blocks))
    assert not taken, "nobody waits"
    assert received(channel) == b"before"
    reading = Background().submit(channel.recv, 10)
    until(lambda: channel._waiting)
    guest.say(channel._number, Kind.DATA, b"12345")
    assert reading.result() == b"345"
    reading = Background().submit(channel.recv, 10)
    until(lambda: channel._waiting)
    guest.say(channel._number, Kind.DATA, b"678")
    assert reading.result() == b"678", "it takes none any more"
    assert taken == [b"12", b"67"]
    assert channel._taken == len(b"before") + len(b"12345") + len(b"678")
