"""Ways to dockerd as plain sockets, and the few requests that are timed on them.

An endpoint makes a connected socket: `unix_endpoint` goes through Galley's bridge (or to a native
dockerd), `tcp_endpoint` through QEMU's own forwarding. The same client code runs on both, so that
it cancels out. Next: `lab.py`, which opens the raw endpoint.
"""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

type HttpEndpoint = Callable[[], socket.socket]

PATIENCE = 300.0  # seconds; only a bench that hangs waits so long
BLOCK = 1 << 20
PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"


def unix_endpoint(path: Path) -> HttpEndpoint:
    def enter() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        return connection

    return enter


def tcp_endpoint(port: int) -> HttpEndpoint:
    def enter() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return enter


def ping(connection: socket.socket) -> float:
    """Seconds for one `GET /_ping` on a connection that stays open."""
    began = time.perf_counter()
    connection.sendall(PING)
    answer = b""
    while not answer.endswith(b"\r\n\r\nOK"):
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError(f"dockerd hung up on a ping: {answer!r}")
        answer += piece
    return time.perf_counter() - began


def ping_anew(endpoint: HttpEndpoint) -> float:
    """Seconds to connect and ping."""
    began = time.perf_counter()
    with endpoint() as connection:
        ping(connection)
        return time.perf_counter() - began


def answers(endpoint: HttpEndpoint) -> bool:
    """Whether dockerd does. A refusal by the bridge ends its connection: that is a no."""
    try:
        return ping_anew(endpoint) > 0
    except OSError:
        return False


class Api(http.client.HTTPConnection):
    """One connection, for one request."""

    def __init__(self, endpoint: HttpEndpoint) -> None:
        super().__init__("docker", timeout=PATIENCE)
        self._door = endpoint

    def connect(self) -> None:
        self.sock = self._door()


def ask(endpoint: HttpEndpoint, method: str, path: str, body: bytes | None = None) -> bytes:
    """The whole answer, on a connection of its own. Raises ConnectionError unless it is 2xx."""
    return b"".join(_blocks(endpoint, method, path, body))


def drain(endpoint: HttpEndpoint, path: str) -> int:
    """How many bytes `GET path` brings; they are not kept."""
    return sum(map(len, _blocks(endpoint, "GET", path, None)))


def _blocks(endpoint: HttpEndpoint, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
    api = Api(endpoint)
    kind = "application/x-tar" if path.endswith("/load?quiet=1") else "application/json"
    try:
        api.request(method, path, body, {"Content-Type": kind, "Connection": "close"})
        answer = api.getresponse()
        if not 200 <= answer.status < 300:
            said = answer.read()[:300].decode(errors="replace")
            raise ConnectionError(f"{method} {path}: {answer.status} {said}")
        while block := answer.read(BLOCK):
            yield block
    finally:
        api.close()
