"""Endpoints of dockerd as plain sockets, and the requests that are timed on them.

An endpoint returns a connected socket: `unix_endpoint` connects through Galley's bridge (or to a
native dockerd), `tcp_endpoint` through QEMU's own forwarding. Both are timed with the same client
code, so that its cost cancels out. Next: `lab.py`, which opens the raw endpoint.
"""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vm.guest.protocol import Stream

type HttpEndpoint = Callable[[], socket.socket]

PATIENCE = 300.0  # seconds; only a bench that hangs waits so long
BLOCK = 1 << 20
PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"


def unix_endpoint(path: Path) -> HttpEndpoint:
    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        return connection

    return connect


def tcp_endpoint(port: int) -> HttpEndpoint:
    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return connect


def ping(connection: socket.socket | Stream) -> float:
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


def ping_on_new_connection(endpoint: HttpEndpoint) -> float:
    """Seconds to connect and ping."""
    began = time.perf_counter()
    with endpoint() as connection:
        ping(connection)
        return time.perf_counter() - began


def answers(endpoint: HttpEndpoint) -> bool:
    """Whether dockerd answers. The bridge closes the connection of a refused request."""
    try:
        return ping_on_new_connection(endpoint) > 0
    except OSError:
        return False


class Api(http.client.HTTPConnection):
    """One connection, for one request."""

    def __init__(self, endpoint: HttpEndpoint) -> None:
        super().__init__("docker", timeout=PATIENCE)
        self._endpoint = endpoint

    def connect(self) -> None:
        self.sock = self._endpoint()


def ask(endpoint: HttpEndpoint, method: str, path: str, body: bytes | None = None) -> bytes:
    """The whole answer, on a new connection. Raises ConnectionError unless the status is 2xx."""
    return b"".join(_blocks(endpoint, method, path, body))


def drain(endpoint: HttpEndpoint, path: str) -> int:
    """Reads and discards the answer of `GET path`; returns its size in bytes."""
    return sum(map(len, _blocks(endpoint, "GET", path, None)))


def _blocks(endpoint: HttpEndpoint, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
    api = Api(endpoint)
    kind = "application/x-tar" if path.endswith("/load?quiet=1") else "application/json"
    try:
        api.request(method, path, body, {"Content-Type": kind, "Connection": "close"})
        answer = api.getresponse()
        if not 200 <= answer.status < 300:
            output = answer.read()[:300].decode(errors="replace")
            raise ConnectionError(f"{method} {path}: {answer.status} {output}")
        while block := answer.read(BLOCK):
            yield block
    finally:
        api.close()
