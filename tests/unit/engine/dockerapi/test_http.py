"""The supervisor's small HTTP client."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from engine.bridge.unix import SocketStream
from engine.dockerapi.http import Head, HttpError, get_json, ping, stream_json
from vm.errors import GuestUnreachable
from vm.guest.protocol import Stream
from vm.messages import Message

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Server:
    """Answers one request with the given blocks."""

    def __init__(self, *blocks: bytes) -> None:
        self.received = b""
        self._blocks = blocks
        self._ours, theirs = socket.socketpair()
        self._stream = SocketStream(theirs)
        self._thread = threading.Thread(target=self._answer)

    def dial(self) -> SocketStream:
        self._thread.start()
        return self._stream

    def _answer(self) -> None:
        with self._ours:
            while not self.received.endswith(b"\r\n\r\n"):
                self.received += self._ours.recv(65536)
            with contextlib.suppress(BrokenPipeError):  # the client may close early
                for block in self._blocks:
                    self._ours.sendall(block)

    def join(self) -> None:
        self._thread.join()
        self._stream.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(*blocks: bytes) -> Server:
        servers.append(Server(*blocks))
        return servers[-1]

    yield make
    for server in servers:
        server.join()


@pytest.mark.parametrize(
    "blocks",
    [
        (HEAD + b"Content-Length: 7\r\n\r\n[1, 2]\n",),
        (HEAD + b"\r\n[1, 2]",),
        (CHUNKED + b"3\r\n[1,\r\n3;x=y\r\n 2]\r\n0\r\n\r\n",),
        tuple(bytes([one]) for one in CHUNKED + b"6\r\n[1, 2]\r\n0\r\n\r\n"),
    ],
    ids=["length", "until the end", "chunks", "byte by byte"],
)
def test_every_form_of_response_is_read(
    serve: Callable[..., Server], blocks: tuple[bytes, ...]
) -> None:
    server = serve(*blocks)
    assert get_json(server.dial, "/x", list[int]) == [1, 2]
    assert server.received.startswith(b"GET /x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Content-Length: nine\r\n\r\n",
        HEAD + b"Content-Length: -9\r\n\r\n",
        HEAD + b"Content-Length: 9\r\n\r\n[1]",
        HEAD + b"\r\nnot json",
        HEAD + b'\r\n["not", "numbers"]',
        CHUNKED + b"zz\r\n",
        CHUNKED + b"5\r\n[1",
        HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n[1]",
    ],
)
def test_malformed_responses_are_errors(serve: Callable[..., Server], answer: bytes) -> None:
    with pytest.raises((HttpError, OSError)):
        get_json(serve(answer).dial, "/x", list[int])


def test_ping(serve: Callable[..., Server]) -> None:
    assert ping(serve(HEAD + b"Content-Length: 2\r\n\r\nOK").dial)
    assert not ping(serve(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nOK").dial)
    assert not ping(serve(b"").dial)


@pytest.mark.parametrize("error", [GuestUnreachable(Message("", "gone")), ConnectionRefusedError()])
def test_ping_is_false_when_dialling_fails(error: Exception) -> None:
    def dial() -> Stream:
        raise error

    assert not ping(dial)


def test_a_ping_without_a_response_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dockerapi.http.ANSWER_LIMIT", 0.2)
    ours, theirs = socket.socketpair()
    assert not ping(lambda: SocketStream(theirs))
    ours.close()


def test_events_are_yielded_one_by_one_however_they_are_split(serve: Callable[..., Server]) -> None:
    server = serve(
        CHUNKED,
        b'9\r\n{"a": 1}\n\r\n',
        b'5\r\n{"a":\r\n',
        b'e\r\n 2}\n\n{"a": 3}\n\r\n',
        b"0\r\n\r\n",
    )
    opened: list[Head] = []
    stream = server.dial()
    events = stream_json(stream, '/events?filters={"type":["x"]}', opened.append)
    assert list(events) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert [head.status for head in opened] == [200]
    target = server.received.split(b" ")[1]
    assert target == b"/events?filters=%7B%22type%22:%5B%22x%22%5D%7D"


def test_an_event_that_is_not_json_is_an_error(serve: Callable[..., Server]) -> None:
    server = serve(HEAD + b"\r\n{]\n")
    with pytest.raises(HttpError, match="not JSON"):
        list(stream_json(server.dial(), "/events", lambda head: None))
