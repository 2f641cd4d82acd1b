"""The guest's console log: reads the lines of its init, and bounds the size of the file.

galley: sshd            is found by `find("sshd")`; docs/dev/guest-image.md lists the lines

QEMU appends to it while the machine runs, and root in the guest may write to the serial port
without limit: over 200 kB/s under TCG. `keep_short` removes the middle while a supervisor runs:
QEMU cannot bound a file, and its ring buffer would lose a boot that was not read yet. Without a
supervisor the file grows until the next one. Next: `vm/lifecycle/boot_steps.py`, which waits for
lines; `vm/lifecycle/machine.py`.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

CONSOLE_PREFIX = "galley: "
POLL = 30.0  # seconds between two checks of the size
LIMIT = 2 << 20  # bytes; a larger log is shortened
BEGINNING = 256 << 10  # bytes of a cut log: a boot takes some 40 kB
OWN = 64 << 10  # bytes of our own lines from the middle
END = 512 << 10
SEARCHED = 4 << 20  # bytes, for our own lines
LEFT_OUT = b"[the middle of this log is left out]\n"


class Console:
    """Reads the whole log each time, so a later supervisor finds the same lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[str]:
        """Galley's own lines so far, without their prefix."""
        text = self._text()
        complete = text[: text.rfind("\n") + 1]
        found = []
        for line in complete.splitlines():
            _, prefix, rest = line.partition(CONSOLE_PREFIX)
            if prefix:
                found.append(rest.strip())
        return found

    def find(self, *starts: str) -> str | None:
        """The first line that begins with one of `starts`."""
        return next((line for line in self.lines() if line.startswith(starts)), None)

    def tail(self, count: int = 25) -> str:
        return "\n".join(self._text().splitlines()[-count:])

    def keep_short(self, ended: Callable[[float], bool]) -> None:
        """Bound the file until `ended`, which waits up to that many seconds, returns True."""
        while not ended(POLL):
            try:
                self.cut()
            except OSError as error:  # Windows: QEMU has it open without sharing
                log.debug("the console log cannot be shortened: %s", error)

    def cut(self) -> None:
        """In place, which is safe because QEMU appends (O_APPEND). Loses what is written between
        the read and the write. Raises OSError."""
        with open(self._path, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size > LIMIT:
                kept = _shortened(file, size)
                file.seek(0)
                file.write(kept)
                file.truncate()

    def _text(self) -> str:
        try:
            with open(self._path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                data = _shortened(file, size) if size > LIMIT else file.read(LIMIT)
                return data.decode(errors="replace")
        except FileNotFoundError:
            return ""


def _shortened(file: BinaryIO, size: int) -> bytes:
    """The beginning, our own lines of the middle, and the end: whole lines, less than LIMIT."""
    file.seek(0)
    beginning = file.read(BEGINNING + OWN)  # with our own lines that an earlier cut kept
    start = max(len(beginning), size - SEARCHED)
    file.seek(start)
    rest = file.read(SEARCHED)
    gap = b"\n" if start > len(beginning) else b""
    first, newline, cut = beginning[:BEGINNING].rpartition(b"\n")
    middle = cut + beginning[BEGINNING:] + gap + rest[:-END]
    last = rest[-END:].partition(b"\n")[2]
    return first + newline + _own_lines(middle) + LEFT_OUT + last


def _own_lines(middle: bytes) -> bytes:
    """The last ones, at most OWN bytes; each ends with a newline."""
    prefix = CONSOLE_PREFIX.encode()
    lines = [line + b"\n" for line in middle.split(b"\n") if prefix in line]
    while sum(map(len, lines)) > OWN:
        del lines[: len(lines) // 2 + 1]
    return b"".join(lines)
