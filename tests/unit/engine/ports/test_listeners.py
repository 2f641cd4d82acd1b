"""Reading the lists of the guest's listener program, which may send anything and may exit."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.ports import listeners
from engine.ports.host_network import ListeningSocket
from engine.ports.listeners import GuestListeners, read_lists
from vm.errors import GuestUnreachable
from vm.messages import Message

ID = "a" * 64
PATIENCE = 20.0
WEB = ListeningSocket("tcp", 8080, "0.0.0.0", ID)
LINE = f"tcp 0.0.0.0 8080 {ID}\n".encode()


def reading(*blocks: bytes) -> Callable[[int], bytes]:
    left = iter(blocks)
    return lambda limit: next(left, b"")


def test_lists_are_read_whole_however_they_are_split() -> None:
    data = b"\n" + LINE + b"\n" + b"nonsense\n" + LINE + LINE + b"\n"
    expected = [(), (WEB,), (WEB,)]
    assert list(read_lists(reading(data))) == expected
    assert list(read_lists(reading(*(bytes([byte]) for byte in data)))) == expected
    assert list(read_lists(reading(LINE))) == [], "an unterminated list is dropped"


def test_the_length_of_a_list_and_of_a_line_is_limited() -> None:
    many = [f"tcp 0.0.0.0 {port} {ID}\n".encode() for port in range(1, 60000)]
    (found,) = read_lists(reading(*many, b"\n"))
    assert len(found) == listeners.MOST
    long = [b"x" * 300 + b"\n", LINE, b"\n"]
    assert list(read_lists(reading(*long))) == [(WEB,)]
    with pytest.raises(OSError, match="a line of more than"):
        list(read_lists(lambda limit: b"x" * limit))


class Guest:
    """The guest's ends of the connections. `is_reachable`: whether a dial succeeds."""

    def __init__(self) -> None:
        self.is_reachable = True
        self.changes = threading.Semaphore(0)
        self._made = threading.Semaphore(0)
        self._ends: list[socket.socket] = []
        self.followed = GuestListeners(self._dial, self.changes.release)

    def _dial(self) -> "SocketStream":
        if not self.is_reachable:
            raise GuestUnreachable(Message("", "It is not there."))
        near, far = socket.socketpair()
        self._ends.append(far)
        self._made.release()
        return SocketStream(near)

    def connection(self) -> socket.socket:
        assert self._made.acquire(timeout=PATIENCE)
        return self._ends[-1]

    def close(self) -> None:
        self.followed.follow(False)
        for end in self._ends:
            end.close()


class SocketStream:
    """A `vm.guest.protocol.Stream`: closing it ends a `recv` in another thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.recv = end.recv
        self.sendall = end.sendall

    def shutdown_write(self) -> None:
        self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self._end.close()


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    monkeypatch.setattr(listeners, "AGAIN", 0.01)
    made = Guest()
    yield made
    made.close()


def test_follow_waits_for_the_first_list_and_later_ones_call_on_change(guest: Guest) -> None:
    sending = threading.Thread(target=lambda: guest.connection().sendall(LINE + b"\n"))
    sending.start()
    assert guest.followed.follow(True) == (WEB,)
    sending.join()
    guest._ends[-1].sendall(b"\n")
    assert guest.changes.acquire(timeout=PATIENCE)
    assert guest.followed.follow(True) == ()
    assert not guest.changes.acquire(blocking=False), "one call for one list"
    assert len(guest._ends) == 1


def test_the_connection_is_closed_when_listeners_are_not_needed(guest: Guest) -> None:
    sending = threading.Thread(target=lambda: guest.connection().sendall(LINE + b"\n"))
    sending.start()
    guest.followed.follow(True)
    sending.join()
    assert guest.followed.follow(False) == ()
    guest._ends[-1].settimeout(PATIENCE)
    assert guest._ends[-1].recv(1) == b""


def test_a_reconnect_keeps_the_old_list_until_a_new_one_arrives(guest: Guest) -> None:
    sending = threading.Thread(target=lambda: guest.connection().sendall(LINE + b"\n"))
    sending.start()
    guest.followed.follow(True)
    sending.join()
    guest._ends[-1].close()
    again = guest.connection()
    assert guest.followed.follow(True) == (WEB,)
    again.sendall(b"\n")
    assert guest.changes.acquire(timeout=PATIENCE)
    assert guest.followed.follow(True) == ()


def test_an_unreachable_guest_delays_no_caller(guest: Guest) -> None:
    guest.is_reachable = False
    began = time.monotonic()
    assert guest.followed.follow(True) == ()
    assert time.monotonic() - began < listeners.FIRST / 2
    guest.is_reachable = True
    guest.connection().sendall(LINE + b"\n")
    assert guest.changes.acquire(timeout=PATIENCE)
    assert guest.followed.follow(True) == (WEB,)
