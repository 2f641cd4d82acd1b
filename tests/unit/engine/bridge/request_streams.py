"""Streams of requests, and a handler that records its calls."""

from engine.bridge.requests import Requests
from tests.unit.engine.admission.making import admission

CREATE = b"POST /v1.47/containers/create?name=a HTTP/1.1\r\nHost: docker\r\n"
SIZED = CREATE + b"Content-Length: 14\r\n\r\n" + b'{"Image":"a"}\n'
CHUNKED = CREATE + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED += b'6;x=y\r\n{"Imag\r\n8\r\ne":"a"}\n\r\n0\r\nX-Sum: 1\r\n\r\n'
PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
EXPECTS = CREATE + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LOAD = b"POST /images/load HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
LOAD += b"1b\r\nPOST /containers/create HTT\r\n2\r\n\r\n\r\n0\r\n\r\n"
BUILD = b"POST /build HTTP/1.1\nContent-Length: 31\n\nPOST /containers/create HTTP/1\n"
UPGRADE = b"POST /exec/1/start HTTP/1.1\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n"
UPGRADE += b"Content-Length: 2\r\n\r\n{}"
JOIN = b"POST /v1.45/swarm/join HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
JOIN += b'17\r\n{"RemoteAddrs":["a:1"]}\r\n0\r\n\r\n'
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class RecordingHandler:
    """A handler that records its calls and returns `replacements` instead of the bodies."""

    def __init__(self, *replacements: bytes | None) -> None:
        self.bodies: list[bytes] = []
        self.services: list[bytes] = []
        self.interim_answers: list[bytes] = []
        self._replacements = iter(replacements)
        self.notifications: list[str] = []
        self.targets: list[str] = []
        self.requests = Requests(self, self.interim_answers.append)

    def asked(self, target: bytes) -> None:
        self.targets.append(target.decode(errors="replace"))

    def start(self, container: str) -> None:
        self.notifications.append(container)

    def create_container(self, body: bytes) -> bytes:
        self.bodies.append(body)
        return next(self._replacements, None) or body

    def create_service(self, body: bytes) -> bytes:
        self.services.append(body)
        return self.create_container(body)

    def init_swarm(self, body: bytes) -> bytes:
        return admission().init_swarm(body)

    def swarm(self, verb: str) -> None:
        self.notifications.append(f"swarm {verb}")

    def events(self) -> None:
        self.notifications.append("events")

    def feed(self, *pieces: bytes) -> bytes:
        return b"".join(map(self.requests.feed, pieces)) + self.requests.rest()


STREAMS = {
    "ping": PING,
    "head": b"HEAD /_ping HTTP/1.1\r\n\r\n" + PING,
    "sized": SIZED,
    "chunked": CHUNKED,
    "kept alive": PING + SIZED + LOAD + PING + CHUNKED + BUILD + SIZED,
    "swarm": PING + JOIN + LOAD + JOIN,
    "blank lines before": b"\r\n\r\n" + SIZED,
    "upgraded": UPGRADE + b"\x00\x01POST /containers/create HTTP/1.1\r\n\r\n" + SIZED,
    "refused upgrade": UPGRADE + SIZED,
    "http/2": HTTP2,
    "upgraded to http/2": b"POST /grpc HTTP/1.1\r\nUpgrade: h2c\r\n\r\n" + HTTP2,
    "garbage": b"\x16\x03\x01\x00 what is this\r\n\r\n",
    "words": b"HELLO WORLD",
    "lower case": b"get / http/1.1\r\n\r\n" + SIZED,
    "cut head": CREATE,
    "no length": CREATE + b"\r\n" + PING,
    "wrong length": CREATE + b"Content-Length: -4\r\n\r\n{}",
    "wrong chunk": LOAD[:62] + b"zz\r\n" + SIZED,
    "wrong chunk of a creation": CHUNKED.replace(b"8\r\n", b"zz\r\n"),
    "gzip": CREATE + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08" + PING,
    "unknown coding": CREATE + b"Transfer-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
    "expects": EXPECTS + b"{}" + PING,
}
