"""An HTTP server on loopback that can be slow, forgetful or broken, and counts what it sends."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from engine.images.source import Access

DIRECT = Access(proxies={})


class Behaviour(msgspec.Struct):
    """`cut`: bytes of a body before the connection ends. `trickles`: a byte now and then.
    `redirect`: where every request is sent to."""

    ranges: bool = True
    cut: int | None = None
    trickles: bool = False
    status: int = 0
    redirect: str = ""
    chunked: bool = False
    shift: int = 0  # added to the place in Content-Range


class Site(ThreadingHTTPServer):
    """`files`: by path. `sent`: bytes of bodies. `asked`: the Range header of each request."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.files: dict[str, bytes] = {}
        self.behaviour = Behaviour()
        self.sent = 0
        self.asked: list[str | None] = []
        self.ended = threading.Event()

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def add_folder(self, folder: Path) -> None:
        self.files |= {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}

    def handle_error(self, request: object, client_address: object) -> None:
        """A client may leave at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        how = self.server.behaviour
        self.server.asked.append(self.headers.get("Range"))
        if how.redirect:
            self.send_response(302)
            self.send_header("Location", how.redirect)
            self.end_headers()
            return
        data = self.server.files.get(urlsplit(self.path).path)
        if data is None or how.status:
            self.send_error(how.status or 404)
            return
        start = self._start() if how.ranges else 0
        if start > len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            first = start + how.shift
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        if not how.chunked:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self._send(data[start:] if how.cut is None else data[start : start + how.cut])

    def _start(self) -> int:
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def _send(self, data: bytes) -> None:
        if self.server.behaviour.trickles:
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.server.ended.wait(0.02):
                    return
        self.server.sent += len(data)  # before the client has them, and looks
        self.wfile.write(data)


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    with Site(tls) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield site
        finally:
            site.ended.set()
            site.shutdown()
            thread.join()
