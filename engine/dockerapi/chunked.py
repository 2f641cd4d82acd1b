"""Tracks the position in a chunked HTTP body (RFC 9112, section 7.1) as it passes.

Next: `engine/bridge/activity.py`.
"""

import re

from engine.dockerapi.http import HEAD_LIMIT

LAST = b"0\r\n\r\n"
_CHUNKED = b"transfer-encoding: chunked"  # as Go writes it, but for capital letters
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
_BREAK = len(b"\r\n")
_ENDLESS = 1 << 62


class Chunks:
    """One answer, from its first byte on."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0  # bytes to skip: a chunk's data, or a body without chunks
        self._in_head = True
        self._is_chunked = False
        self._has_ended = False

    @property
    def may_end(self) -> bool:
        """Whether `LAST` would complete it: the next chunk is expected."""
        waits = not self._in_head and not self._left and not self._line
        return self._is_chunked and waits and not self._has_ended

    def feed(self, data: bytes) -> None:
        while data and not self._has_ended:
            if self._left:
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
                continue
            line, ended, data = data.partition(b"\n")
            self._line += line
            if ended:
                self._take(self._line.rstrip(b"\r"))
                self._line = b""
            elif len(self._line) > HEAD_LIMIT:
                self._give_up()

    def _take(self, line: bytes) -> None:
        if self._in_head:
            self._is_chunked = self._is_chunked or line.lower() == _CHUNKED
            self._in_head = bool(line)
            self._left = _ENDLESS if not line and not self._is_chunked else 0
            return
        found = _SIZE.fullmatch(line)
        if found is None:
            self._give_up()
            return
        size = int(found[1], 16)
        self._has_ended = size == 0
        self._left = size + _BREAK

    def _give_up(self) -> None:
        """Invalid framing: skip everything from here on."""
        self._line, self._is_chunked, self._left = b"", False, _ENDLESS
