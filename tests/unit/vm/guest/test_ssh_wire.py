"""Wire and Inbox alone: paramiko's transport reads the same data however it arrives."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.bridge.servers import wait_until
from vm.guest.ssh_wire import HEADER, LARGE, READ_AHEAD, ROW, TOGETHER, Inbox, Wire


@pytest.fixture
def pair() -> Iterator[tuple[Wire, socket.socket]]:
    """A Wire that waits for all data of a read, and the other end of its TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire = Wire(socket.create_connection(listening.getsockname()))
        other = listening.accept()[0]
    wire.wait_for_all()
    yield wire, other
    wire.close()
    other.close()


class Reading(threading.Thread):
    """Reads once, in a thread of its own."""

    def __init__(self, wire: Wire, limit: int) -> None:
        super().__init__(daemon=True)
        self.data: bytes | None = None
        self._wire = wire
        self._limit = limit
        self.start()

    def run(self) -> None:
        try:
            self.data = self._wire.recv(self._limit)
        except OSError:  # closed between waiting and reading; paramiko treats both alike
            self.data = b""

    def wait_blocked(self) -> None:
        state = Path(f"/proc/self/task/{self.native_id}/stat")
        wait_until(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "S")


def test_the_second_part_of_a_packet_wakes_the_reader(pair: tuple[Wire, socket.socket]) -> None:
    """A blocking recv with SO_RCVLOWAT takes the first part, then sleeps on the shorter rest."""
    wire, other = pair
    data = os.urandom(40_000)
    other.sendall(data[:30_000])
    reading = Reading(wire, 40_000)
    reading.wait_blocked()
    other.sendall(data[30_000:])
    reading.join(5)
    assert reading.data == data


def test_data_that_was_read_ahead_is_returned_later(pair: tuple[Wire, socket.socket]) -> None:
    wire, other = pair
    other.sendall(b"headbodynext")
    assert [wire.recv(4), wire.recv(4), wire.recv(4)] == [b"head", b"body", b"next"]


def test_more_data_than_is_read_ahead_arrives_complete(pair: tuple[Wire, socket.socket]) -> None:
    wire, other = pair
    size = 3 * READ_AHEAD
    data = os.urandom(size)
    sending = threading.Thread(target=other.sendall, args=(data,))
    sending.start()
    received = b""
    while len(received) < size:
        received += wire.recv(size - len(received))
    sending.join()
    assert received == data


def _stream(wire: Wire, other: socket.socket, packets: int = ROW + 1) -> None:
    for _ in range(packets):
        packet = os.urandom(HEADER + LARGE)
        other.sendall(packet)
        assert wire.recv(HEADER) + wire.recv(LARGE) == packet


def test_a_stream_of_large_packets_is_read_in_batches(pair: tuple[Wire, socket.socket]) -> None:
    wire, other = pair
    _stream(wire, other)
    batch = os.urandom(TOGETHER)
    other.sendall(batch)
    assert wire.recv(READ_AHEAD - 1) == batch


def test_the_end_of_a_stream_is_not_delayed(pair: tuple[Wire, socket.socket]) -> None:
    wire, other = pair
    _stream(wire, other)
    other.sendall(b"h" * HEADER)
    assert wire.recv(HEADER) == b"h" * HEADER


def test_a_small_packet_ends_a_stream(
    pair: tuple[Wire, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vm.guest.ssh_wire.GATHERING", -1)  # for ever
    wire, other = pair
    _stream(wire, other, ROW)
    small = os.urandom(HEADER + 40)
    other.sendall(small)
    assert wire.recv(HEADER) + wire.recv(40) == small
    _stream(wire, other, ROW)


def test_an_early_end_is_reported(pair: tuple[Wire, socket.socket]) -> None:
    wire, other = pair
    other.sendall(b"half")
    other.shutdown(socket.SHUT_WR)
    assert wire.recv(100) == b"half"
    assert wire.recv(100) == b""


def test_close_ends_a_blocked_reader(pair: tuple[Wire, socket.socket]) -> None:
    wire, _ = pair
    reading = Reading(wire, 100)
    reading.wait_blocked()
    wire.close()
    reading.join(5)
    assert reading.data == b""


def test_inbox_joins_what_fits_and_splits_what_does_not() -> None:
    inbox = Inbox(1 << 20)
    one, two, three = (letter * 5000 for letter in (b"1", b"2", b"3"))
    for chunk in (one, two, three):
        inbox.feed(chunk)
    inbox.close()
    assert [inbox.read(size) for size in (11000, 2000, 9000, 9000)] == [
        one + two,
        three[:2000],
        three[2000:],
        b"",
    ]
