"""A hostile client and a hostile dockerd at the two ends of a bridged connection.

An input is the data of both, with MIDDLE between. Every byte is forwarded unchanged, however the
data is split; an endless head or chunk does not fill memory. `test_creations.py` tests admission.
Next: `engine/bridge/pump.py`.
"""

import re
import threading

from engine.bridge.activity import NULL_MONITOR
from engine.bridge.pump import NoAdmission, Pump
from engine.bridge.requests import Requests
from tests.fuzz.harness import PATIENCE, Fuzz, Source
from tests.fuzz.streams import BLOCK, ENDLESS, ScriptedStream
from tests.fuzz.test_creations import CreationsOnly
from vm.errors import NotShared

MIDDLE = b"\0middle\0"
WITHOUT_END = b"\0endless"  # at the end of an input: dockerd repeats its last byte
ASKED = b"Expect: 100-continue\r\n"
EXPECT = re.compile(rb"(?im)^expect:[^\n]*\n([ \t][^\n]*\n)*")  # may be left out
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # may come before any answer
LINES = (
    *(b"GET /events HTTP/1.1\r\n", b"GET /v1.45/containers/a/stats HTTP/1.1\r\n", b"Host: d\r\n"),
    *(b"POST /containers/create HTTP/1.1\r\n", b"POST /containers/a/start HTTP/1.1\r\n", b"\r\n"),
    *(
        b"POST /swarm/init HTTP/1.1\r\n",
        b"GET /_ping HTTP/1.0\r\n",
        b"HEAD http://d/_ping HTTP/1.1",
    ),
    *(b"Content-Length: 2\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Upgrade: tcp\r\n", ASKED, b"{}", b"PRI * HTTP/2.0\r\n"),
    *(
        b"2\r\n{}\r\n",
        b"0\r\n\r\n",
        b"-5\r\n",
        b"fffffffffffffff\r\n",
        b"1_0\r\n",
        b"\n",
        b" x: y\r\n",
    ),
    *(b"POST /containers/\xff%00/start HTTP/1.1\r\n", b"X" * 5000, b'{"a":' + b"[" * 2000),
)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 UPGRADED\r\n\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"-3\r\n", b"x"),
    *(b"0x10\r\n", b" 5 \r\n", b"f" * 5000 + b"\r\n", b'{"status":"start"}', b"\n", b"\xff"),
)


class Client(ScriptedStream):
    """A client. `is_done`: it has sent everything."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data, piece=piece)
        self.is_done = threading.Event()
        self.count = 0

    def recv(self, limit: int) -> bytes:
        data = b"" if self.is_closed else super().recv(limit)
        if not data:
            self.is_done.set()
        return data

    def recv_within(self, limit: int, seconds: float) -> bytes:
        return self.recv(limit)

    def sendall(self, data: bytes) -> None:
        """Records only the first block, which the target compares."""
        self.count += len(data)
        if len(self.received) < BLOCK:
            super().sendall(data)

    def send_now(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def end(self) -> None:
        self.is_closed = True
        self.is_done.set()


class Dockerd(ScriptedStream):
    """Sends nothing until the client has sent everything."""

    def __init__(self, data: bytes, client: Client, tail: bytes) -> None:
        super().__init__(data, piece=97, tail=tail)
        self._client = client
        self.has_all = threading.Event()

    def recv(self, limit: int) -> bytes:
        assert self.has_all.wait(PATIENCE)
        return super().recv(limit)

    def shutdown_write(self) -> None:
        self.has_all.set()

    def close(self) -> None:
        super().close()
        self.has_all.set()


def conversation(source: Source) -> bytes:
    first = source.pick((b"", LINES[0] + b"\r\n", LINES[1] + b"\r\n"))
    lines = b"".join(source.some(14, lambda: source.pick((*LINES, source.blob()))))
    begun = source.pick((b"", HEAD, HEAD))
    answer = b"".join(source.some(10, lambda: source.pick((*ANSWERS, source.blob()))))
    return first + lines + MIDDLE + begun + answer + (WITHOUT_END if source.one_in(12) else b"")


def target(data: bytes) -> None:
    sent, _, answer = data.partition(MIDDLE)
    is_refused = _check_splits(sent)
    is_endless = answer.endswith(WITHOUT_END)
    answer = answer.removesuffix(WITHOUT_END)
    client = Client(sent, 1 + len(sent) % 100)
    dockerd = Dockerd(answer, client, (answer[-1:] or b"x") if is_endless else b"")
    pump = Pump(client, dockerd, NoAdmission(), NULL_MONITOR)
    pump.run("upward")
    assert client.is_closed
    assert dockerd.is_closed
    assert _plain(sent).startswith(_plain(bytes(dockerd.received)))
    if is_refused:
        return  # the refusal may come before any answer
    received = bytes(client.received).replace(CONTINUE, b"")
    assert received.startswith(answer.replace(CONTINUE, b"")[:BLOCK])
    assert client.count >= len(answer) + is_endless * BLOCK * ENDLESS


def _check_splits(sent: bytes) -> bool:
    """Whether the input is refused, because a create request is too long."""
    whole = _forwarded(sent, len(sent) or 1)
    assert _forwarded(sent, 1) == whole == _forwarded(sent, 7)
    assert whole is None or _plain(sent).startswith(whole)
    return whole is None


def _forwarded(sent: bytes, size: int) -> bytes | None:
    """The forwarded data; None if a request is refused."""
    requests = Requests(CreationsOnly(NoAdmission()), lambda data: None)
    pieces = (sent[at : at + size] for at in range(0, len(sent), size))
    try:
        return _plain(b"".join(map(requests.feed, pieces)) + requests.rest())
    except NotShared:
        return None


def _plain(data: bytes) -> bytes:
    return EXPECT.sub(b"", data)


def test_bridge(fuzz: Fuzz) -> None:
    fuzz("bridge", target, conversation, [*LINES, *ANSWERS, MIDDLE, WITHOUT_END])
