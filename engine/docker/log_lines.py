"""A container's log, from bytes to lines. Next: `streams.py`, which reads it.

Without a terminal, dockerd sends frames: eight bytes (the stream, three zeros, the length), then
one message. With one, it sends messages and nothing else. A message is a time, a space, and a line
with its end, or 16 KiB of a longer line without one; so a long line comes in pieces that each have
a time, and they are kept as pieces: a line can be a gigabyte.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime

from engine.docker.types import LogLine

PIECE = 16 * 1024  # bytes of one message
HEAD = 8
STREAMS = {2: "stderr"}
# As dockerd writes it: 2026-01-02T03:04:05.000000006Z
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ")
TIME_LENGTH = 40  # at most


class LogParser:
    """Fed with what arrives; gives the lines that are whole by then. One thread's."""

    def __init__(self, tty: bool) -> None:
        self._tty = tty
        self._rest = b""
        self._time = 0.0

    def feed(self, data: bytes) -> tuple[LogLine, ...]:
        data = self._rest + data if self._rest else data
        return tuple(self._raw(data) if self._tty else self._frames(data))

    def end(self) -> tuple[LogLine, ...]:
        """The rest, at the end of the stream."""
        rest, self._rest = self._rest, b""
        return tuple(self._pieces("stdout", rest, False)) if self._tty and rest else ()

    def _frames(self, data: bytes) -> Iterator[LogLine]:
        at, size = 0, len(data)
        while at + HEAD <= size:
            end = at + HEAD + int.from_bytes(data[at + 4 : at + HEAD])
            if end > size:
                break
            stream = STREAMS.get(data[at], "stdout")
            yield from self._messages(stream, data[at + HEAD : end])
            at = end
        self._rest = data[at:]

    def _messages(self, stream: str, data: bytes) -> Iterator[LogLine]:
        """Usually one, as dockerd sends it; several are allowed."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield from self._pieces(stream, line, False)
        if rest:
            yield from self._pieces(stream, rest, len(rest) >= PIECE)

    def _raw(self, data: bytes) -> Iterator[LogLine]:
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield from self._pieces("stdout", line, False)
        message = PIECE + TIME_LENGTH
        if len(rest) > message:  # all but the last message of a line that has not ended
            *pieces, last = _split(rest)
            for piece in pieces:
                yield self._line("stdout", piece, True)
            rest = last
        self._rest = rest

    def _pieces(self, stream: str, line: bytes, goes_on: bool) -> Iterator[LogLine]:
        *pieces, last = _split(line) if len(line) > PIECE else [line]
        for piece in pieces:
            yield self._line(stream, piece, True)
        yield self._line(stream, last, goes_on)

    def _line(self, stream: str, message: bytes, goes_on: bool) -> LogLine:
        if found := _TIME.match(message):
            with contextlib.suppress(ValueError):  # no day of any calendar: the program wrote it
                self._time = datetime.fromisoformat(message[: found.end() - 1].decode()).timestamp()
                message = message[found.end() :]
        text = message.decode(errors="replace")
        return LogLine(stream, text if goes_on else text.removesuffix("\r"), self._time, goes_on)


def _split(line: bytes) -> list[bytes]:
    """The messages, each with its time, that dockerd made of one long line."""
    found = []
    while line:
        time = _TIME.match(line)
        end = (time.end() if time else 0) + PIECE
        found.append(line[:end])
        line = line[end:]
    return found or [b""]
