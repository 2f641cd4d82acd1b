"""Clients of an auto-suspended machine: which requests resume it, and the answers to others."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.bridge.activity import NullMonitor
from engine.bridge.bridge import Bridge
from engine.bridge.unix import SocketStream, UnixListener, dial
from engine.dockerapi import http
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import wait_until
from vm.errors import BackendFailed, EngineUnreachable, Problem
from vm.messages import Message

EVENTS = b"GET /v1.47/events?since=1 HTTP/1.1\r\nHost: docker\r\n\r\n"
PAST = EVENTS.replace(b"since=1", b"since=1&until=2")
LIST = b"GET /v1.47/containers/json HTTP/1.1\r\nHost: docker\r\n\r\n"
PING = b"HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
GET_PING = PING.replace(b"HEAD", b"GET")
PONG = b"api-version: 1.47\r\nbuilder-version: 2\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]\n"
DOWN = EngineUnreachable(
    Message("", "Galley's engine is stopped.", "Start it with `galley start`.")
)


class World(NullMonitor):
    """A machine that is away, and a dockerd that answers everything with ANSWER."""

    def __init__(self) -> None:
        self.is_up = False
        self.is_away = True
        self.is_coming = False
        self.failure: BackendFailed | None = None
        self.known = PONG
        self.starts = 0
        self.heard: list[bytes] = []
        self.answer = ANSWER
        self._changed = threading.Condition()

    def is_suspended(self) -> bool:
        return self.is_away

    def wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: until() or not self.is_away)

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def cached_ping_headers(self) -> bytes:
        return self.known

    def awake(self, uses: bool = True) -> None:
        if self.is_away and not self.is_coming:
            self.starts += 1
            if self.failure is not None:
                raise self.failure
            self.come_back()

    def come_back(self) -> None:
        self.is_up, self.is_away = True, False
        self.notify()

    def leave(self) -> None:
        """Its user stops it."""
        self.is_away = False
        self.notify()

    def down(self) -> Problem | None:
        return None if self.is_up else DOWN.to_problem()

    def dial(self) -> SocketStream:
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return SocketStream(ours)

    def _serve(self, client: socket.socket) -> None:
        with client:
            while data := client.recv(4096):
                self.heard.append(data)
                client.sendall(self.answer)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def bridge(world: World, folder: Path) -> Iterator[Bridge]:
    reachable = ReachableDockerd(world.dial, world.down)
    made = Bridge(UnixListener(folder / "docker.sock"), reachable, monitor=world)
    made.open()
    yield made
    made.close()


@pytest.fixture
def client(bridge: Bridge, folder: Path) -> Iterator[socket.socket]:
    with dial(folder / "docker.sock", timeout=10) as made:
        yield made


def stays_silent(client: socket.socket) -> None:
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(4096)
    client.settimeout(10)


def test_who_waits_for_events_waits_until_it_is_back(world: World, client: socket.socket) -> None:
    client.sendall(EVENTS)
    stays_silent(client)
    assert world.starts == 0
    world.come_back()
    assert client.recv(4096) == ANSWER
    assert world.heard == [EVENTS]


@pytest.mark.parametrize("request_", [LIST, PAST])
def test_who_needs_it_brings_it_back(world: World, client: socket.socket, request_: bytes) -> None:
    client.sendall(request_)
    assert client.recv(4096) == ANSWER
    client.sendall(request_)
    assert client.recv(4096) == ANSWER
    assert world.starts == 1
    assert world.heard == [request_, request_]


def test_a_ping_is_answered_and_what_follows_decides(world: World, client: socket.socket) -> None:
    client.sendall(PING)
    assert client.recv(4096) == b"HTTP/1.1 200 OK\r\n" + PONG + b"Content-Length: 0\r\n\r\n"
    client.sendall(GET_PING)
    assert client.recv(4096).endswith(PONG + b"Content-Length: 2\r\n\r\nOK")
    assert world.starts == 0
    client.sendall(LIST)
    assert client.recv(4096) == ANSWER
    assert world.starts == 1


def test_a_ping_that_nobody_can_answer_brings_it_back(world: World, client: socket.socket) -> None:
    world.known = b""
    client.sendall(PING)
    assert client.recv(4096) == ANSWER
    assert world.heard == [PING]


def test_who_comes_while_it_comes_back_waits(world: World, client: socket.socket) -> None:
    world.is_coming = True
    client.sendall(LIST)
    stays_silent(client)
    world.come_back()
    assert client.recv(4096) == ANSWER
    assert world.starts == 0


def test_what_cannot_come_back_is_told(world: World, client: socket.socket) -> None:
    world.failure = BackendFailed(Message("", "QEMU ended."))
    client.sendall(LIST)
    said = client.recv(4096)
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"QEMU ended." in said
    assert client.recv(4096) == b""


def test_a_stop_ends_the_waiting_with_the_reason(world: World, client: socket.socket) -> None:
    client.sendall(EVENTS)
    stays_silent(client)
    world.leave()
    said = client.recv(4096)
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"galley start" in said


def test_nothing_is_left_of_who_has_gone(
    world: World, bridge: Bridge, client: socket.socket
) -> None:
    client.sendall(EVENTS)
    stays_silent(client)
    assert bridge.open_connections == 1
    client.close()
    wait_until(lambda: bridge.open_connections == 0)
    assert world.starts == 0


def test_who_has_sent_all_is_answered(world: World, client: socket.socket) -> None:
    client.sendall(LIST)
    client.shutdown(socket.SHUT_WR)
    assert b"".join(iter(lambda: client.recv(4096), b"")) == ANSWER


def test_what_a_ping_is_answered_with(world: World) -> None:
    head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nDate: now\r\nBuilder-Version: 2\r\n"
    world.answer = head + b"Content-Length: 2\r\n\r\nOK"
    assert http.ping_headers(world.dial) == PONG
