"""Which clock changes set the guest's clock, with a scripted guest agent."""

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
    """Answers every request with "ok" and records the times that it receives."""

    def __init__(self) -> None:
        self.times: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.watches: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self.watch_closed = threading.Event()
        self.has_agent, self.is_reachable = True, True
        self.dialled: queue.SimpleQueue[str] = queue.SimpleQueue()

    def dial(self, path: str) -> Stream:
        self.dialled.put(path)
        if not self.is_reachable:
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
            self.watch_closed.set()

    def wait_until_set(self) -> None:
        """Wait until the clock is set to the current time."""
        assert abs(self.times.get(timeout=PATIENCE) - time.time()) < 1

    def watch(self) -> socket.socket:
        return self.watches.get(timeout=PATIENCE)


class Jumps:
    """The watch for jumps of the host's clock, scripted."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.freed = threading.Event()

    def wait(self, seconds: float) -> bool:
        return self.events.get(timeout=PATIENCE)

    def close(self) -> None:
        self.events.put(False)

    def free(self) -> None:
        self.freed.set()


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def jumps() -> Jumps:
    return Jumps()


@pytest.fixture
def clock(guest: Guest, jumps: Jumps) -> Iterator[GuestClock]:
    made = GuestClock(guest.dial, lambda: jumps)  # type: ignore[arg-type, return-value]
    yield made
    made.follow(False)


def test_the_guest_clock_is_set_on_connect_and_when_either_clock_changes(
    guest: Guest, jumps: Jumps, clock: GuestClock
) -> None:
    clock.follow(True)
    clock.follow(True)
    watch = guest.watch()
    guest.wait_until_set()
    watch.sendall(b"clock\n")
    guest.wait_until_set()
    jumps.events.put(True)
    guest.wait_until_set()
    clock.set_now()
    guest.wait_until_set()
    assert guest.times.empty()
    assert guest.watches.empty()


def test_a_stopped_monitor_sets_no_clock(guest: Guest, jumps: Jumps, clock: GuestClock) -> None:
    clock.follow(True)
    guest.watch()
    guest.wait_until_set()
    clock.follow(False)
    clock.follow(False)
    assert jumps.freed.wait(PATIENCE)
    assert guest.watch_closed.wait(PATIENCE)
    assert guest.times.empty()


def test_the_clock_is_set_again_after_a_reconnect(
    guest: Guest, clock: GuestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_events, "RETRY", 0.01)
    clock.follow(True)
    watch = guest.watch()
    guest.wait_until_set()
    guest.is_reachable = False
    while not guest.dialled.empty():
        guest.dialled.get()
    watch.shutdown(socket.SHUT_RDWR)
    guest.dialled.get(timeout=PATIENCE)
    guest.is_reachable = True
    guest.watch()
    guest.wait_until_set()


def test_a_guest_without_the_agent_is_not_retried(guest: Guest, clock: GuestClock) -> None:
    guest.has_agent = False
    clock.follow(True)
    guest.dialled.get(timeout=PATIENCE)
    threads = [one for one in threading.enumerate() if one.name == "clock-guest"]
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_clock_is_set_at_every_drift_interval(guest: Guest) -> None:
    clock = GuestClock(guest.dial, drift=0.05)
    clock.follow(True)
    for _ in range(4):
        guest.wait_until_set()
    clock.follow(False)
