"""Whose change of which clock sets the machine's, on a guest that only talks."""

import queue
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from engine.monitors import guest_events
from engine.monitors.guest_clock import GuestClock
from vm.backends.fake import SocketStream
from vm.errors import GuestUnreachable
from vm.guest.protocol import Stream
from vm.messages import Message

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Guest:
    """Answers every request with "ok", and writes down which time it was told."""

    def __init__(self) -> None:
        self.times: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.watches: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self.left = threading.Event()  # a watch was hung up
        self.has_agent, self.is_there = True, True
        self.dialled: queue.SimpleQueue[str] = queue.SimpleQueue()

    def dial(self, path: str) -> Stream:
        self.dialled.put(path)
        if not self.is_there:
            raise GuestUnreachable(Message("", "The virtual machine does not answer."))
        if not self.has_agent:
            raise ConnectionRefusedError(path)
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return SocketStream(ours)

    def _serve(self, connection: socket.socket) -> None:
        watched = False
        with connection, connection.makefile("r") as lines:
            for line in lines:
                connection.sendall(b"ok\n")
                word, _, rest = line.strip().partition(" ")
                if word == "time":
                    self.times.put(float(rest))
                if line == "watch clock\n":
                    watched = True
                    self.watches.put(connection)
        if watched:
            self.left.set()

    def is_set(self) -> None:
        """Wait until the clock has been set, to the present."""
        assert abs(self.times.get(timeout=PATIENCE) - time.time()) < 1

    def watch(self) -> socket.socket:
        return self.watches.get(timeout=PATIENCE)


class Jumps:
    """A host's clock that jumps when it is told to."""

    def __init__(self) -> None:
        self.news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.freed = threading.Event()

    def wait(self, seconds: float) -> bool:
        return self.news.get(timeout=PATIENCE)

    def close(self) -> None:
        self.news.put(False)

    def free(self) -> None:
        self.freed.set()


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def jumps() -> Jumps:
    return Jumps()


@pytest.fixture
def kept(guest: Guest, jumps: Jumps) -> Iterator[GuestClock]:
    made = GuestClock(guest.dial, lambda: jumps)  # type: ignore[arg-type, return-value]
    yield made
    made.follow(False)


def test_it_is_set_when_the_machine_is_reached_and_when_either_clock_is_set(
    guest: Guest, jumps: Jumps, kept: GuestClock
) -> None:
    kept.follow(True)
    kept.follow(True)
    watch = guest.watch()
    guest.is_set()
    watch.sendall(b"clock\n")
    guest.is_set()
    jumps.news.put(True)
    guest.is_set()
    kept.set_now()
    guest.is_set()
    assert guest.times.empty()
    assert guest.watches.empty()


def test_after_the_end_nothing_is_set(guest: Guest, jumps: Jumps, kept: GuestClock) -> None:
    kept.follow(True)
    guest.watch()
    guest.is_set()
    kept.follow(False)
    kept.follow(False)
    assert jumps.freed.wait(PATIENCE)
    assert guest.left.wait(PATIENCE)
    assert guest.times.empty()


def test_a_guest_that_was_lost_is_set_when_it_is_back(
    guest: Guest, kept: GuestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_events, "RETRY", 0.01)
    kept.follow(True)
    watch = guest.watch()
    guest.is_set()
    guest.is_there = False
    while not guest.dialled.empty():
        guest.dialled.get()
    watch.shutdown(socket.SHUT_RDWR)
    guest.dialled.get(timeout=PATIENCE)
    guest.is_there = True
    guest.watch()
    guest.is_set()


def test_a_guest_of_another_version_is_left_alone(guest: Guest, kept: GuestClock) -> None:
    guest.has_agent = False
    kept.follow(True)
    guest.dialled.get(timeout=PATIENCE)
    threads = [one for one in threading.enumerate() if one.name == "clock-guest"]
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_two_clocks_drift(guest: Guest) -> None:
    kept = GuestClock(guest.dial, drift=0.05)
    kept.follow(True)
    for _ in range(4):
        guest.is_set()
    kept.follow(False)
