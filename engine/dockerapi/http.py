"""A small HTTP/1.1 client over any Stream, and the bridge's own error responses.

Enough to tell a docker client why there is no engine, and to read dockerd's version, containers and
events in the supervisor without the docker SDK. The bridge passes all other HTTP through unread.
Next: `engine/bridge/bridge.py`.
"""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from engine.json_input import UNREADABLE
from vm.errors import GalleyError, Problem
from vm.guest.protocol import Stream

HEAD_LIMIT = 64 * 1024  # bytes of request or status line and headers; Go's default is 1 MiB
STATUS = re.compile(r"HTTP/1\.[0-9] ([0-9]{3})(?: |$)")
LINE_LIMIT = 4 * 1024 * 1024  # bytes of one event
BODY_LIMIT = 64 * 1024 * 1024
ANSWER_LIMIT = 10.0  # seconds for a whole answer that is not a stream
CHUNK = 64 * 1024
# Before the path of a request to dockerd, for which Go takes any scheme.
API = rb"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?]*)?(?=/))?(?:/v[\d.]+)?"
OF_ONE = ("connection", "content-length", "date", "transfer-encoding")  # headers of one answer
REASONS = {
    400: "Bad Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

Dial = Callable[[], Stream]
Receive = Callable[[int], bytes]


class HttpError(Exception):
    """Not HTTP, too much of it, or an answer that is not 2xx. `status`: 0 where there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Head(msgspec.Struct, frozen=True):
    """First line and headers of a message, header names in small letters."""

    first: str
    headers: dict[str, str]

    @property
    def method(self) -> str:
        return self.first.split(" ", 1)[0]

    @property
    def status(self) -> int:
        """An answer's status. Raises HttpError."""
        found = STATUS.match(self.first)
        if found is None:
            raise HttpError(f"not an HTTP answer: {self.first[:80]!r}")
        return int(found[1])


class Reader:
    """Lines and blocks out of what `receive` gives. Raises HttpError beyond a limit or the end."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._held = b""

    def head(self) -> Head:
        lines: list[str] = []
        left = HEAD_LIMIT
        while (line := self.line(left)) or not lines:  # RFC 9112 2.2: skip empty lines before
            left -= len(line) + 2
            if line:
                lines.append(line.decode("latin-1"))
        headers = (line.partition(":") for line in lines[1:])
        return Head(lines[0], {name.lower(): value.strip() for name, _, value in headers})

    def line(self, limit: int) -> bytes:
        """Up to the next newline, without it."""
        while (end := self._held.find(b"\n")) < 0 and len(self._held) <= limit:
            self._more()
        if end < 0 or end > limit:
            raise HttpError("a line or a header is too long", 431)
        line, self._held = self._held[:end], self._held[end + 1 :]
        return line.removesuffix(b"\r")

    def some(self, limit: int) -> bytes:
        """At least a byte and at most `limit`; b"" at the end."""
        if not self._held:
            return self._receive(limit)
        some, self._held = self._held[:limit], self._held[limit:]
        return some

    def _more(self) -> None:
        data = self._receive(CHUNK)
        if not data:
            raise HttpError("the connection ended too early")
        self._held += data


def refusal(problem: Problem, method: str = "GET", status: int = 503) -> bytes:
    """A whole answer that a docker client shows as "Error response from daemon: …"."""
    sentence = f"{problem.summary} {problem.hint}".strip()
    body = msgspec.json.encode({"message": sentence}) + b"\n"
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)


def ping(dial: Dial) -> bool:
    """Whether dockerd answers `GET /_ping`. Never raises for a reason to answer no."""
    try:
        return get(dial, "/_ping").strip() == b"OK"
    except (GalleyError, HttpError, OSError):
        return False


def ping_headers(dial: Dial) -> bytes:
    """The headers of dockerd's answer to a ping, without those of this single answer. Clients read
    the API version and more from them. Raises HttpError, OSError, and what `dial` raises."""
    headers = _answer(dial, "GET", "/_ping", ANSWER_LIMIT)[0].headers
    lines = (f"{name}: {value}\r\n" for name, value in headers.items() if name not in OF_ONE)
    return "".join(lines).encode("latin-1")


def get_json[T](dial: Dial, path: str, kind: type[T]) -> T:
    """The answer to `GET path`. Raises HttpError, OSError, and what `dial` raises."""
    try:
        return msgspec.json.decode(get(dial, path), type=kind)
    except UNREADABLE as error:
        raise HttpError(f"dockerd's answer to {path} is not as expected: {error}") from error


def stream_json(stream: Stream, path: str, on_open: Callable[[Head], None]) -> Iterator[Any]:
    """Each value of an endless response (`/events`), until either side ends it. `on_open` is called
    with the head of a successful response. Raises HttpError, OSError."""
    head, blocks = _ask(stream, path)
    on_open(head)
    held = b""
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        if len(held) > LINE_LIMIT:
            raise HttpError("an event is too long")
        for line in filter(None, map(bytes.strip, lines)):
            yield _decode(line)


def _decode(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except UNREADABLE as error:
        raise HttpError(f"an event is not JSON: {line[:80]!r}") from error


def get(dial: Dial, path: str) -> bytes:
    """The body of the answer. Raises HttpError, OSError, and what `dial` raises."""
    return _answer(dial, "GET", path, ANSWER_LIMIT)[1]


def post(dial: Dial, path: str, limit: float = ANSWER_LIMIT) -> bytes:
    """As `get`, for a POST without a body that may take `limit` seconds."""
    return _answer(dial, "POST", path, limit)[1]


def delete(dial: Dial, path: str) -> None:
    """As `get`, for a DELETE."""
    _answer(dial, "DELETE", path, ANSWER_LIMIT)


def _answer(dial: Dial, method: str, path: str, limit: float) -> tuple[Head, bytes]:
    stream = dial()
    late = threading.Timer(limit, stream.close)
    late.name, late.daemon = "http-deadline", True
    late.start()
    try:
        head, blocks = _ask(stream, path, method)
        return head, _limited(blocks)
    finally:
        late.cancel()
        stream.close()


def _limited(blocks: Iterator[bytes]) -> bytes:
    kept = bytearray()
    for block in blocks:
        kept += block
        if len(kept) > BODY_LIMIT:
            raise HttpError("the answer is too long")
    return bytes(kept)


def _ask(stream: Stream, path: str, method: str = "GET") -> tuple[Head, Iterator[bytes]]:
    """Send the request; the answer's head and body. Raises HttpError unless it is 2xx."""
    target = quote(path, safe="/?&=%:,+~")
    empty = "Content-Length: 0\r\n" if method == "POST" else ""
    request = f"{method} {target} HTTP/1.1\r\nHost: docker\r\n{empty}Connection: close\r\n\r\n"
    stream.sendall(request.encode("ascii"))
    reader = Reader(stream.recv)
    head = reader.head()
    blocks = _body(reader, head)
    if not 200 <= head.status < 300:
        raise HttpError(f"{target}: {head.status} {_limited(blocks)[:500]!r}", head.status)
    return head, blocks


def _body(reader: Reader, head: Head) -> Iterator[bytes]:
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(reader)
    length = head.headers.get("content-length")
    return _sized(reader, _number(length, 10)) if length else iter(lambda: reader.some(CHUNK), b"")


def _chunks(reader: Reader) -> Iterator[bytes]:
    while size := _number(reader.line(HEAD_LIMIT).partition(b";")[0].decode("latin-1"), 16):
        yield from _sized(reader, size)
        reader.line(HEAD_LIMIT)


def _sized(reader: Reader, size: int) -> Iterator[bytes]:
    while size:
        block = reader.some(min(size, CHUNK))
        if not block:
            raise HttpError("the answer ended too early")
        size -= len(block)
        yield block


def _number(text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise HttpError(f"not a length: {text[:20]!r}")
    return number
