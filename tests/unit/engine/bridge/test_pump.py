"""One client and its stream without a dockerd: split events, and a lost machine."""

import select
import socket
import threading
from collections.abc import Callable

import pytest

from engine.bridge.activity import NULL_MONITOR
from engine.bridge.pump import NoAdmission, Pump
from engine.bridge.unix import SocketStream
from engine.dockerapi.chunked import LAST

TIMEOUT = 10.0  # seconds; each wait takes less than one
ASKED = b"GET /v1.45/events HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
EVENT = b'{"status":"start","Type":"container"}\n'


class Starting(NoAdmission):
    """`settle` blocks until `may_continue` is set."""

    def __init__(self) -> None:
        self.settling = threading.Event()
        self.may_continue = threading.Event()

    def settle(self) -> None:
        self.settling.set()
        assert self.may_continue.wait(TIMEOUT)


@pytest.mark.parametrize("cut", range(EVENT.index(b",")))
def test_a_start_event_waits_however_it_is_split(cut: int) -> None:
    starting = Starting()
    (client, near), (far, guest) = socket.socketpair(), socket.socketpair()
    client.settimeout(TIMEOUT)
    guest.settimeout(TIMEOUT)
    pump = Pump(SocketStream(near), SocketStream(far), starting, NULL_MONITOR)
    running = threading.Thread(target=pump.run, args=("up",))
    running.start()
    with client, guest:
        client.sendall(ASKED)
        assert guest.recv(1000) == ASKED
        guest.sendall(HEAD + EVENT[:cut])
        got = b""
        while len(got) < len(HEAD) + cut:
            got += client.recv(1000)
        guest.sendall(EVENT[cut:])
        assert starting.settling.wait(TIMEOUT)
        assert select.select([client], [], [], 0)[0] == []
        starting.may_continue.set()
        guest.shutdown(socket.SHUT_WR)
        while data := client.recv(1000):
            got += data
        assert got == HEAD + EVENT
    running.join(TIMEOUT)
    assert not running.is_alive()


class Lost(SocketStream):
    """A stream that ends with a connection reset, as when the machine is lost."""

    def recv(self, limit: int) -> bytes:
        if data := super().recv(limit):
            return data
        raise ConnectionResetError("the machine is gone")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "answer", "ending"),
    [
        ("/events", CHUNKED, LAST),
        ("/v1.45/containers/web/logs?follow=1", CHUNKED + b"2\r\nhi\r\n", LAST),
        ("/containers/web/stats", CHUNKED + b"2\r\nh", b""),  # a partial chunk cannot be completed
        ("/images/create", CHUNKED + b"2\r\nhi\r\n", b""),  # half an image is an error
        ("/containers/web/logs?stdout=1", CHUNKED + b"2\r\nhi\r\n", b""),  # and so is half a log
    ],
)
def test_a_stream_ends_in_order_when_the_machine_is_lost(
    target: str, answer: bytes, ending: bytes
) -> None:
    (client, near), (far, guest) = socket.socketpair(), socket.socketpair()
    client.settimeout(TIMEOUT)
    pump = Pump(SocketStream(near), Lost(far), NoAdmission(), NULL_MONITOR)
    running = threading.Thread(target=pump.run, args=("up",))
    running.start()
    with client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert guest.recv(1000)
        guest.sendall(answer)
        guest.close()
        got = b"".join(iter(lambda: client.recv(1000), b""))
    assert got == answer + ending
    running.join(TIMEOUT)
    assert not running.is_alive()


INIT = b"POST /swarm/init HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n"


@pytest.mark.parametrize("together", [True, False])
def test_the_answer_to_a_swarm_request_waits_and_an_interim_one_does_not(together: bool) -> None:
    calls: list[str] = []

    class Swarming(NoAdmission):
        def swarm(self, verb: str) -> Callable[[], None]:
            calls.append(verb)
            return lambda: calls.append("answered")

    (client, near), (far, guest) = socket.socketpair(), socket.socketpair()
    client.settimeout(TIMEOUT)
    pump = Pump(SocketStream(near), SocketStream(far), Swarming(), NULL_MONITOR)
    running = threading.Thread(target=pump.run, args=("up",))
    running.start()
    with client, guest:
        client.sendall(INIT)
        assert guest.recv(1000).startswith(b"POST /swarm/init")
        assert calls == ["init"]
        if together:
            guest.sendall(CONTINUE + ANSWER)
        else:
            guest.sendall(CONTINUE)
            assert client.recv(1000) == CONTINUE
            assert calls == ["init"]
            guest.sendall(ANSWER)
        got = b""
        while not got.endswith(ANSWER):
            got += client.recv(1000)
        assert calls == ["init", "answered"]
    running.join(TIMEOUT)
    assert not running.is_alive()
