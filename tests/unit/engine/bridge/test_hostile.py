"""Hostile clients and a hostile dockerd: no thread dies, no thread or descriptor leaks."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.bridge.activity import NULL_MONITOR
from engine.bridge.bridge import Bridge
from engine.bridge.pump import NoAdmission, Pump
from engine.bridge.unix import SocketStream, UnixListener, connect
from engine.dockerapi.http import Head, HttpError, get_json
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.ports.published_spec import Container, InspectedContainer, ports_to_publish
from engine.types import EngineHealth
from tests.unit.engine.admission.making import admission
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import wait_until

TIMEOUT = 10.0  # seconds; each wait takes less than one
DEEP = b"[" * 100_000
NOTHING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class FakeDockerd:
    """Answers each connection with `answer`, called with the first line of its request."""

    def __init__(self, path: Path, answer: Callable[[str], bytes]) -> None:
        self.path = path
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not (first := self._head(connection)):
                    if self._is_over:
                        return
                    continue
                with contextlib.suppress(OSError):
                    connection.sendall(self._answer(first))

    _is_over = False

    @staticmethod
    def _head(connection: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return ""
            head += data
        return head.split(b"\r\n", 1)[0].decode()

    def close(self) -> None:
        self._is_over = True
        connect(self.path).close()
        self._threads[0].join(TIMEOUT)
        self._listener.close()


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[[Callable[[str], bytes]], FakeDockerd]]:
    made: list[FakeDockerd] = []

    def make(answer: Callable[[str], bytes]) -> FakeDockerd:
        made.append(FakeDockerd(folder / f"dockerd{len(made)}.sock", answer))
        return made[-1]

    yield make
    for server in made:
        server.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def creation(body: bytes) -> bytes:
    return (
        b"POST /v1.45/containers/create HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"HostConfig":' + DEEP,
        b'{"HostConfig":{"Mounts":' + DEEP,
        b'{"TaskTemplate":' * 400 + b"{}" + b"}" * 400,
        b'{"Image":"\xff","Env":["\xff"],"HostConfig":{"Binds":["\xff:/x"]}}',
    ],
)
def test_an_unreadable_create_request_leaks_no_thread_and_no_descriptor(
    folder: Path, serve: Callable[[Callable[[str], bytes]], FakeDockerd], body: bytes
) -> None:
    dockerd = serve(lambda first: NOTHING)
    bridge = Bridge(
        UnixListener(folder / "docker.sock"),
        ReachableDockerd(lambda: connect(dockerd.path)),
        admission(variables={"HTTP_PROXY": "http://proxy:1"}),
    )
    bridge.open()
    try:
        threads, files = threading.active_count(), descriptors()
        for _ in range(10):
            with contextlib.closing(connect(folder / "docker.sock")) as client:
                client.sendall(creation(body))
        wait_until(lambda: bridge.open_connections == 0)
        wait_until(lambda: (threading.active_count(), descriptors()) == (threads, files))
        with contextlib.closing(connect(folder / "docker.sock")) as client:
            client.sendall(b"GET /_ping HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(100) == NOTHING
    finally:
        bridge.close()


class Unexpected(Exception):
    """An exception that no caller expects."""


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_failure_in_one_direction_ends_both(
    direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))

    class Failing(NoAdmission):
        def create_container(self, body: bytes) -> bytes:
            raise Unexpected

        def settle(self) -> None:
            raise Unexpected

    (client, near), (far, guest) = socket.socketpair(), socket.socketpair()
    for end in (client, guest):
        end.settimeout(TIMEOUT)
    pump = Pump(SocketStream(near), SocketStream(far), Failing(), NULL_MONITOR)
    running = threading.Thread(target=pump.run, args=("up",))
    running.start()
    with client, guest:
        if direction == "up":
            client.sendall(creation(b"{}"))
        else:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
            assert guest.recv(1000)
            guest.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"status":"start"}\n')
        assert client.recv(1000) == b""
        assert guest.recv(1000) == b""
    running.join(TIMEOUT)
    assert not running.is_alive()
    assert (near.fileno(), far.fileno()) == (-1, -1)
    assert raised == [Unexpected]


@pytest.mark.parametrize("status", ["²", "٢٠٠", "2" * 5000, "2000", "", "-20", "2_0"])
def test_an_invalid_status_code_is_refused(status: str) -> None:
    with pytest.raises(HttpError):
        _ = Head(f"HTTP/1.1 {status} OK", {}).status
    assert Head("HTTP/1.1 204", {}).status == 204


PORT = '"PrivatePort":80,"Type":"tcp"'
HOSTILE_PORTS = (
    f'{{{PORT},"PublicPort":99999999}}',
    f'{{{PORT},"PublicPort":-1}}',
    f'{{{PORT},"PublicPort":80,"IP":"127.0.0.1\\u0000"}}',
    f'{{{PORT},"PublicPort":80,"IP":"127.0.0.1 -j ACCEPT"}}',
    '{"PrivatePort":99999999,"PublicPort":80,"Type":"tcp"}',
)


def body(text: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


def test_ports_of_a_hostile_dockerd_are_refused(
    serve: Callable[[Callable[[str], bytes]], FakeDockerd],
) -> None:
    answers = iter([*HOSTILE_PORTS, f'{{{PORT},"PublicPort":8080,"IP":"fe80::1%eth0"}}'])
    dockerd = serve(lambda first: body(f'[{{"Id":"a","Ports":[{next(answers)}]}}]'.encode()))
    for _ in HOSTILE_PORTS:
        with pytest.raises(HttpError):
            get_json(lambda: connect(dockerd.path), "/containers/json", list[Container])
    (found,) = get_json(lambda: connect(dockerd.path), "/containers/json", list[Container])
    assert [port.forward.host_port for port in ports_to_publish([found], {}, ("127.0.0.1",))] == [
        8080
    ]


@pytest.mark.parametrize("port", ["²", "99999999", "9" * 5000, "-1", "8000-99999999", "²-³", "0"])
def test_an_invalid_port_is_ignored(port: str) -> None:
    given = {"PortBindings": {"80/tcp": [{"HostPort": port}], f"{port}/tcp": [{"HostPort": "80"}]}}
    inspected = msgspec.convert({"HostConfig": given}, InspectedContainer)
    ((container_port, _, binding),) = inspected.bindings()
    assert (container_port, binding.port, len(binding.range)) == (80, 0, 0)


def test_the_watch_survives_a_hostile_dockerd(
    serve: Callable[[Callable[[str], bytes]], FakeDockerd], monkeypatch: pytest.MonkeyPatch
) -> None:
    """dockerd sends each hostile answer once, and valid ones afterwards."""
    monkeypatch.setattr("engine.lifecycle.dockerd_watch.KNOCK", 0.01)
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    events = iter(
        [
            *("HTTP/1.1 ² OK\r\n\r\n".encode("latin-1"), b"x\r\n\r\n", b"\r\n" * 50_000),
            *(head + DEEP + b"\n", head + b"\xff\n", head + b'"\xff"\n', head + b"[1]\n7\n"),
            head + b'{"Action":"pause","id":"\\u0000/../x y"}\n',
        ]
    )
    lists = iter(
        [
            *("HTTP/1.1 ² OK\r\n\r\n".encode("latin-1"), body(DEEP), body(b'["\xff"]'), body(b"7")),
            *(body(f'[{{"Id":"a","Ports":[{port}]}}]'.encode()) for port in HOSTILE_PORTS),
        ]
    )

    def answer(first: str) -> bytes:
        if "/events" in first:
            return next(events, head)
        return next(lists, body(b'[{"Id":"fine"}]'))

    dockerd = serve(answer)
    seen: list[str] = []
    health: list[EngineHealth] = []
    watch = EngineWatch(lambda: connect(dockerd.path))
    watch.begin(
        on_health=health.append,
        on_containers=lambda containers: seen.extend(one.Id for one in containers),
    )
    threads = list(watch._threads)
    try:
        wait_until(lambda: next(events, None) is None and bool(seen), 30)
        assert all(thread.is_alive() for thread in threads)
        assert set(seen) == {"fine"}
    finally:
        watch.end()
    assert not any(thread.is_alive() for thread in threads)


def test_a_too_deeply_nested_swarm_request_is_passed_on_unchanged() -> None:
    body = b'{"a":' + DEEP
    assert admission().init_swarm(body) == body
