"""Ports that Galley forwards itself, over real sockets of both families."""

import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from vm.host import forwarder as module
from vm.host import net
from vm.host.forwarder import Address, Forwarder

LONG_ENOUGH = 30.0  # seconds
SIZE = 3 * 1024 * 1024  # bytes; more than the socket buffers in between hold


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    made = Forwarder()
    yield made
    made.close_all()


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back all data once its client half-closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client:
        client.sendall(_read_all(client))


def _read_all(stream: socket.socket) -> bytes:
    return b"".join(iter(lambda: stream.recv(65536), b""))


def _free_port() -> int:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])


def _send_and_receive(port: int, data: bytes) -> bytes:
    with socket.create_connection(("::1", port), timeout=LONG_ENOUGH) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return _read_all(client)


def test_data_and_half_closes_are_forwarded_both_ways(forwarder: Forwarder, echo: int) -> None:
    port = _free_port()
    forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
    data = os.urandom(SIZE)
    assert _send_and_receive(port, data) == data
    assert _send_and_receive(port, b"again") == b"again"


def test_many_connections_are_forwarded_at_once(forwarder: Forwarder, echo: int) -> None:
    port = _free_port()
    forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(_send_and_receive(port, b"x" * 10_000)))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_ENOUGH)
    assert answers == [b"x" * 10_000] * 50


def test_a_closed_port_is_free_and_can_be_reopened(forwarder: Forwarder, echo: int) -> None:
    port = _free_port()
    for _ in range(3):
        forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
        assert not net.is_free("::1", port)
        forwarder.close("tcp", ("::1", port))
        assert net.is_free("::1", port)
        with pytest.raises(ConnectionRefusedError):
            _send_and_receive(port, b"")


def test_without_a_listener_the_client_is_disconnected(forwarder: Forwarder) -> None:
    port = _free_port()
    forwarder.open("tcp", ("::1", port), ("127.0.0.1", net.free_port()))
    with pytest.raises(OSError, match=r"Broken pipe|reset|not connected"):
        _send_and_receive(port, b"x" * SIZE)


def test_a_taken_port_is_an_error(forwarder: Forwarder, echo: int) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))


def test_answers_reach_the_sender_of_the_datagram(forwarder: Forwarder) -> None:
    port = _free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        forwarder.open("udp", ("::1", port), server.getsockname())
        clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.settimeout(10)
            for _ in range(2):
                client.sendto(b"%d" % number, ("::1", port))
                data, sender = server.recvfrom(100)
                server.sendto(b"to " + data, sender)
                assert client.recv(100) == b"to %d" % number
        for client in clients:
            client.close()


def test_beyond_the_limit_the_least_recently_seen_sender_is_dropped(
    forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SENDERS", 3)
    port = _free_port()
    with ExitStack() as held:
        server = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind(("127.0.0.1", 0))
        clients = [
            held.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) for _ in range(4)
        ]
        for each in (server, *clients):
            each.settimeout(LONG_ENOUGH)
        forwarder.open("udp", ("::1", port), server.getsockname())

        def seen_as(number: int) -> Address:
            clients[number].sendto(b"%d" % number, ("::1", port))
            data, address = server.recvfrom(100)
            assert data == b"%d" % number
            return str(address[0]), int(address[1])

        first, second = seen_as(0), seen_as(1)
        assert [seen_as(0), seen_as(2) != first, seen_as(3) != first] == [first, True, True]
        server.sendto(b"too late", second)
        for number in (0, 2, 3):
            server.sendto(b"in time", seen_as(number))
            assert clients[number].recv(100) == b"in time"
        clients[1].setblocking(False)
        with pytest.raises(BlockingIOError):
            clients[1].recv(100)
        assert seen_as(1) != second


@pytest.fixture
def blocked_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of threads that cannot be started."""
    refused: set[str] = set()
    start = threading.Thread.start

    def start_if_allowed(thread: threading.Thread) -> None:
        if thread.name in refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_allowed)
    yield refused
    refused.clear()


def test_a_connection_without_a_thread_is_closed(
    forwarder: Forwarder, echo: int, blocked_threads: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    port = _free_port()
    forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
    blocked_threads.add("port-connection")
    with socket.create_connection(("::1", port), timeout=LONG_ENOUGH) as client:
        assert client.recv(1) == b""
    blocked_threads.clear()
    assert _send_and_receive(port, b"later") == b"later"
    assert "can't start new thread" in caplog.text
    forwarder.close("tcp", ("::1", port))


def test_a_connection_whose_reverse_thread_cannot_start_fails(blocked_threads: set[str]) -> None:
    blocked_threads.add("port-connection")
    pair = socket.socketpair()
    with pair[0], pair[1], pytest.raises(OSError, match="can't start new thread"):
        module.both_ways(*pair)


def test_a_port_whose_thread_cannot_start_is_an_error(
    forwarder: Forwarder, echo: int, blocked_threads: set[str]
) -> None:
    blocked_threads.add("port-forwarder")
    port = _free_port()
    with pytest.raises(OSError, match="can't start new thread"):
        forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
    assert net.is_free("::1", port)
    blocked_threads.clear()
    forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
    assert _send_and_receive(port, b"now") == b"now"


def test_a_connection_beyond_the_file_limit_is_served_later(
    forwarder: Forwarder, echo: int, caplog: pytest.LogCaptureFixture
) -> None:
    port = _free_port()
    forwarder.open("tcp", ("::1", port), ("127.0.0.1", echo))
    warned = threading.Event()

    class WarningSeen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warned.set()

    handler, began = WarningSeen(), time.monotonic()
    module.log.addHandler(handler)
    with socket.socket(socket.AF_INET6) as client:
        client.settimeout(LONG_ENOUGH)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with open(os.devnull) as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            client.connect(("::1", port))
            assert warned.wait(LONG_ENOUGH)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            module.log.removeHandler(handler)
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        assert _read_all(client) == b"late"
    assert len(caplog.records) <= 1 + (time.monotonic() - began) / module.PAUSE, (
        "it retries without a pause"
    )
