"""The requests of one connection, read as they pass, to find the few that Galley handles.

`Requests.feed` takes what the client sent and returns what is passed on to dockerd: the same bytes,
except for a body that the `Handler` changed. The handler is called for each request, and for
creations, starts, swarms and events, before they go on. Only heads and the bodies of creations and
of swarms are parsed, and held back until they are complete; all other bytes are only counted.
Whatever is not HTTP/1 (a hijacked connection, HTTP/2, invalid framing) is passed on unchanged, to
the end. Next: `pump.py` (the handler), `engine/admission/admission.py`.
"""

import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import unquote_to_bytes

from engine.dockerapi.http import API
from engine.messages.engine import BRIDGE_REQUEST_TOO_LONG
from vm.errors import NotShared

HEAD_LIMIT = 1032 * 1024  # bytes; what is longer, dockerd refuses: Go reads 1028 KiB
LINE_LIMIT = 4 * 1024  # bytes of a chunk's size and extensions
BODY_LIMIT = 8 * 1024 * 1024  # bytes; what is longer is refused. A real one has some thousand
ENDLESS = 1 << 62

_FIRST = re.compile(rb"(?:\r?\n)*([A-Z]+) (\S+) HTTP/1\.([0-9])\r?\n")
_BEGINNING = re.compile(rb"(?:\r?\n)*\r?(?:[A-Z]{1,20}(?: \S*(?: [HTP/.0-9]{0,8}\r?)?)?)?")
_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CREATION = re.compile(
    API + rb"/(?:containers/create|services/create|services/[^/]+/update)(?:\?|$)"
)
_SERVICE = re.compile(API + rb"/services/")
_START = re.compile(API + rb"/containers/([^/?]+)/(?:start|restart)(?:\?|$)")
_SWARM = re.compile(API + rb"/swarm/(init|join|leave)(?:\?|$)")
_EVENTS = re.compile(API + rb"/events(?:\?|$)")
_HIJACKS = re.compile(rb"/(?:attach|session|grpc)(?:\?|$)")
_VALUE = rb":[^\n]*\n(?:[ \t][^\n]*\n)*"
_FRAMING = re.compile(rb"(?im)^(?:content-length|transfer-encoding|trailer|expect)" + _VALUE)
_EXPECT = re.compile(rb"(?im)^expect" + _VALUE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Handler(Protocol):
    """Each method raises GalleyError when the request must not go on."""

    def create_container(self, body: bytes) -> bytes:
        """Takes the body of a creation, and returns the one to send instead."""

    def create_service(self, body: bytes) -> bytes:
        """The same for a service that is to be created or updated."""

    def init_swarm(self, body: bytes) -> bytes:
        """The same for a new swarm, after `swarm`."""

    def start(self, container: str) -> None:
        """The container, by name or id, is about to start or restart."""

    def swarm(self, verb: str) -> None:
        """dockerd is about to "init", "join" or "leave" a swarm."""

    def asked(self, target: bytes) -> None:
        """A request for `target` begins."""

    def events(self) -> None:
        """From now on the answers are events."""


class Requests:
    """`answer` sends bytes to the client: the 100 Continue for which it holds back a body."""

    def __init__(self, handler: Handler, answer: Callable[[bytes], None]) -> None:
        self._handler = handler
        self._answer = answer
        self._held = b""
        self._left = 0  # bytes that go on unread
        self._next = self._head  # what comes after them
        self.may_be_hijacked = False  # the connection, by its last request
        self._has_asked = False
        self._waits_for_body = False  # of what is read

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass on now. Raises what the handler raises; then nothing of that request
        was passed on."""
        if self._left >= len(data):
            self._left -= len(data)
            return data
        data, self._held = self._held + data, b""
        pieces = []
        at = 0
        while at < len(data):
            if self._left:
                end = min(at + self._left, len(data))
                self._left -= end - at
                piece = data[at:end]
            else:
                end, piece = self._next(data, at)
                if end == at and not self._left:
                    self._held = data[at:]
                    break
            pieces.append(piece)
            at = end
        return b"".join(pieces)

    def rest(self) -> bytes:
        """The bytes still held back at the end of the input. Nothing of an incomplete creation:
        dockerd would accept its body as soon as it has one complete value."""
        held, self._held = self._held, b""
        return b"" if self._waits_for_body else held

    # Each parses one element at `at` and returns where it ends and the bytes to pass on for it. If
    # it needs more bytes, the end is `at`; if the framing is invalid, everything is passed on.

    def _head(self, data: bytes, at: int) -> tuple[int, bytes]:
        first = _FIRST.match(data, at)
        if first is None:
            waits = _BEGINNING.fullmatch(data, at) and len(data) - at < HEAD_LIMIT
            return at, self._all_goes_on(not waits or self.may_be_hijacked)
        end = _END.search(data, first.end() - 1)
        if end is None:
            return at, self._all_goes_on(len(data) - at > HEAD_LIMIT)
        head = data[at : end.end()]
        headers, target = _headers(head, first[3]), _plain(first[2])
        self._handler.asked(target)
        self.may_be_hijacked = b"upgrade" in headers or bool(_HIJACKS.search(target))
        is_read = _CREATION.match(target) or _SWARM.match(target)
        if first[1] == b"POST" and is_read and _has_body(headers):
            found = self._whole(data, at, end.end(), target, headers)
            self._waits_for_body = found == (at, b"")
            if found is not None:
                return found
        self._notify(first[1], target)
        self._expect_body(headers)
        return end.end(), head

    def _notify(self, method: bytes, target: bytes) -> None:
        started = _START.match(target) if method == b"POST" else None
        if started is not None:
            self._handler.start(started[1].decode(errors="replace"))
        elif method == b"POST" and (swarm := _SWARM.match(target)):
            self._handler.swarm(swarm[1].decode())
        elif method == b"GET" and _EVENTS.match(target):
            self._handler.events()

    def _changed_body(self, target: bytes, body: bytes) -> bytes:
        """The body to pass on. Raises GalleyError."""
        if swarm := _SWARM.match(target):
            self._notify(b"POST", target)
            return self._handler.init_swarm(body) if swarm[1] == b"init" else body
        if _SERVICE.match(target):
            return self._handler.create_service(body)
        return self._handler.create_container(body)

    def _whole(
        self, data: bytes, at: int, start: int, target: bytes, headers: dict[bytes, bytes]
    ) -> tuple[int, bytes] | None:
        """The end and the request to pass on; None to pass the body on unread. Raises what the
        handler raises, and NotShared for a body that is too long to be read."""
        try:
            found = _body(data, start, headers)
        except ValueError:
            return None
        if found is None:
            declared = 0 if _is_chunked(headers) else _declared(headers)
            if max(declared, len(data) - start) > BODY_LIMIT:
                raise NotShared(
                    BRIDGE_REQUEST_TOO_LONG,
                )
            if b"expect" in headers and not self._has_asked:
                self._has_asked = True
                self._answer(_CONTINUE)
            return at, b""
        body, end = found
        changed = self._changed_body(target, body)
        has_asked, self._has_asked = self._has_asked, False
        if changed == body:
            head = data[at:start]
            return end, (_EXPECT.sub(b"", head) if has_asked else head) + data[start:end]
        head = _FRAMING.sub(b"", data[at:start]).rstrip(b"\r\n")
        return end, b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(changed), changed)

    def _expect_body(self, headers: dict[bytes, bytes]) -> None:
        if b"transfer-encoding" in headers:
            if not _is_chunked(headers):
                self._left = ENDLESS
            self._next = self._size
        else:
            self._left = _declared(headers)

    def _size(self, data: bytes, at: int) -> tuple[int, bytes]:
        """The line before a chunk."""
        end = data.find(b"\n", at, at + LINE_LIMIT) + 1
        if not end:
            return at, self._all_goes_on(len(data) - at >= LINE_LIMIT)
        try:
            size = _chunk_size(data[at:end])
        except ValueError:
            return at, self._all_goes_on(True)
        if size:
            self._left = size + 2  # and the end of its line
        else:
            self._next = self._trailer
        return end, data[at:end]

    def _trailer(self, data: bytes, at: int) -> tuple[int, bytes]:
        """A line after the last chunk; an empty one ends the body."""
        end = data.find(b"\n", at, at + HEAD_LIMIT) + 1
        if not end:
            return at, self._all_goes_on(len(data) - at >= HEAD_LIMIT)
        if not data[at:end].strip():
            self._next = self._head
        return end, data[at:end]

    def _all_goes_on(self, sure: bool) -> bytes:
        if sure:
            self._left = ENDLESS
        return b""


def _plain(target: bytes) -> bytes:
    """The target with its path unquoted, as dockerd matches it."""
    path, mark, query = target.partition(b"?")
    return unquote_to_bytes(path) + mark + query


def _headers(head: bytes, minor_version: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in _FOLD.sub(b" ", head.strip()).split(b"\n")[1:])
    headers = {name.lower(): value.strip() for name, _, value in lines}
    if minor_version == b"0":  # which has no chunks
        headers.pop(b"transfer-encoding", None)
    return headers


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"").isdigit() or _is_chunked(headers)


def _is_chunked(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"transfer-encoding", b"").lower() == b"chunked"


def _declared(headers: dict[bytes, bytes]) -> int:
    """The Content-Length: 0 if it is missing, ENDLESS if it is invalid."""
    said = headers.get(b"content-length", b"0")
    length = said.lstrip(b"0") or b"0"
    return int(length) if said.isdigit() and len(length) < 18 else ENDLESS


def _body(data: bytes, start: int, headers: dict[bytes, bytes]) -> tuple[bytes, int] | None:
    """A body and where it ends; None if it is incomplete. Raises ValueError for invalid chunks."""
    if not _is_chunked(headers):
        end = start + _declared(headers)
        return (data[start:end], end) if len(data) >= end else None
    chunks: list[bytes] = []
    while (line := data.find(b"\n", start)) >= 0:
        size = _chunk_size(data[start:line])
        if size == 0:
            last = _END.search(data, line)
            return (b"".join(chunks), last.end()) if last else None
        chunks.append(data[line + 1 : line + 1 + size])
        start = line + 1 + size + 2
    return None


def _chunk_size(line: bytes) -> int:
    """Raises ValueError."""
    digits = line.partition(b";")[0].strip()
    if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", digits):
        raise ValueError("not a size")
    return int(digits, 16)
