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
PAST_EVENTS = EVENTS.replace(b"since=1", b"since=1&until=2")
LIST = b"GET /v1.47/containers/json HTTP/1.1\r\nHost: docker\r\n\r\n"
PING = b"HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
GET_PING = PING.replace(b"HEAD", b"GET")
PING_HEADERS = b"api-version: 1.47\r\nbuilder-version: 2\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]\n"
DOWN = EngineUnreachable(
    Message("", "Galley's engine is stopped.", "Start it with `galley start`.")
)


class SuspendedEngine(NullMonitor):
    """A suspended machine, and a dockerd that answers every request with `answer`."""

    def __init__(self) -> None:
        self.is_up = False
        self.suspended = True
        self.resuming = False
        self.failure: BackendFailed | None = None
        self.cached_headers = PING_HEADERS
        self.resumes = 0
        self.received: list[bytes] = []
        self.answer = ANSWER
        self._changed = threading.Condition()

    def is_suspended(self) -> bool:
        return self.suspended

    def wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: until() or not self.suspended)

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def cached_ping_headers(self) -> bytes:
        return self.cached_headers

    def awake(self, uses: bool = True) -> None:
        if self.suspended and not self.resuming:
            self.resumes += 1
            if self.failure is not None:
                raise self.failure
            self.resume()

    def resume(self) -> None:
        self.is_up, self.suspended = True, False
        self.notify()

    def stop(self) -> None:
        """The user stops the suspended machine."""
        self.suspended = False
        self.notify()

    def why_down(self) -> Problem | None:
        return None if self.is_up else DOWN.to_problem()

    def dial(self) -> SocketStream:
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return SocketStream(ours)

    def _serve(self, client: socket.socket) -> None:
        with client:
            while data := client.recv(4096):
                self.received.append(data)
                client.sendall(self.answer)


@pytest.fixture
def engine() -> SuspendedEngine:
    return SuspendedEngine()


@pytest.fixture
def bridge(engine: SuspendedEngine, folder: Path) -> Iterator[Bridge]:
    reachable = ReachableDockerd(engine.dial, engine.why_down)
    made = Bridge(UnixListener(folder / "docker.sock"), reachable, monitor=engine)
    made.open()
    yield made
    made.close()


@pytest.fixture
def client(bridge: Bridge, folder: Path) -> Iterator[socket.socket]:
    with dial(folder / "docker.sock", timeout=10) as made:
        yield made


def assert_no_answer(client: socket.socket) -> None:
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(4096)
    client.settimeout(10)


def test_a_request_for_events_waits_until_the_machine_is_resumed(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    client.sendall(EVENTS)
    assert_no_answer(client)
    assert engine.resumes == 0
    engine.resume()
    assert client.recv(4096) == ANSWER
    assert engine.received == [EVENTS]


@pytest.mark.parametrize("request_", [LIST, PAST_EVENTS])
def test_any_other_request_resumes_the_machine(
    engine: SuspendedEngine, client: socket.socket, request_: bytes
) -> None:
    client.sendall(request_)
    assert client.recv(4096) == ANSWER
    client.sendall(request_)
    assert client.recv(4096) == ANSWER
    assert engine.resumes == 1
    assert engine.received == [request_, request_]


def test_a_ping_is_answered_from_the_cache_and_the_next_request_resumes(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    client.sendall(PING)
    assert client.recv(4096) == b"HTTP/1.1 200 OK\r\n" + PING_HEADERS + b"Content-Length: 0\r\n\r\n"
    client.sendall(GET_PING)
    assert client.recv(4096).endswith(PING_HEADERS + b"Content-Length: 2\r\n\r\nOK")
    assert engine.resumes == 0
    client.sendall(LIST)
    assert client.recv(4096) == ANSWER
    assert engine.resumes == 1


def test_a_ping_without_a_cached_answer_resumes_the_machine(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    engine.cached_headers = b""
    client.sendall(PING)
    assert client.recv(4096) == ANSWER
    assert engine.received == [PING]


def test_a_request_during_a_resume_waits_for_it(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    engine.resuming = True
    client.sendall(LIST)
    assert_no_answer(client)
    engine.resume()
    assert client.recv(4096) == ANSWER
    assert engine.resumes == 0


def test_a_failed_resume_is_reported_to_the_client(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    engine.failure = BackendFailed(Message("", "QEMU ended."))
    client.sendall(LIST)
    answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"QEMU ended." in answer
    assert client.recv(4096) == b""


def test_a_stop_answers_a_waiting_request_with_the_reason(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    client.sendall(EVENTS)
    assert_no_answer(client)
    engine.stop()
    answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"galley start" in answer


def test_a_waiting_client_that_disconnects_leaves_nothing_open(
    engine: SuspendedEngine, bridge: Bridge, client: socket.socket
) -> None:
    client.sendall(EVENTS)
    assert_no_answer(client)
    assert bridge.open_connections == 1
    client.close()
    wait_until(lambda: bridge.open_connections == 0)
    assert engine.resumes == 0


def test_a_client_that_half_closes_is_answered(
    engine: SuspendedEngine, client: socket.socket
) -> None:
    client.sendall(LIST)
    client.shutdown(socket.SHUT_WR)
    assert b"".join(iter(lambda: client.recv(4096), b"")) == ANSWER


def test_the_ping_headers_to_cache_are_read_from_an_answer(engine: SuspendedEngine) -> None:
    head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nDate: now\r\nBuilder-Version: 2\r\n"
    engine.answer = head + b"Content-Length: 2\r\n\r\nOK"
    assert http.ping_headers(engine.dial) == PING_HEADERS
