"""The guest's console log: the lines that its init writes for us, and a bound on all of it.

    galley: sshd            is seen as `line("sshd")`; `engine/guest` has the lines there are

QEMU appends to it for as long as the machine runs, and root in the guest writes to the serial port
as much as it likes: over 200 kB/s under TCG. `keep_short` cuts the middle out. It works while a
supervisor runs: QEMU cannot bound a file, and its ring buffer would lose a boot that nobody has
read. Without a supervisor the file grows until the next one. Next: `vm/lifecycle/boot_steps.py`,
which waits for lines; `vm/lifecycle/machine.py`.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

CONSOLE_PREFIX = "galley: "
LOOK = 30.0  # seconds between two looks at the length of a log
LIMIT = 2 << 20  # bytes of a log that is left as it is
BEGINNING = 256 << 10  # bytes of a cut log: a boot takes some 40 kB
OWN = 64 << 10  # of our lines from what is cut out
END = 512 << 10
LOOKED_AT = 4 << 20  # at most, for lines of ours
LEFT_OUT = b"[the middle of this log is left out]\n"


class Console:
    """A supervisor that comes later reads the same story from the file's beginning."""

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
        """Bound the file until the machine has `ended`, which waits for that so many seconds."""
        while not ended(LOOK):
            try:
                self.cut()
            except OSError as error:  # Windows: QEMU lets nobody else write to it
                log.debug("the console's log cannot be cut: %s", error)

    def cut(self) -> None:
        """In place, which is safe because QEMU appends: it has the file open with O_APPEND. What
        comes between reading and writing is lost. Raises OSError."""
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
    """The beginning, what is ours of the middle, and the end: whole lines, less than LIMIT."""
    file.seek(0)
    beginning = file.read(BEGINNING + OWN)  # with what an earlier cut has kept of ours
    start = max(len(beginning), size - LOOKED_AT)
    file.seek(start)
    rest = file.read(LOOKED_AT)
    gap = b"\n" if start > len(beginning) else b""
    first, newline, cut = beginning[:BEGINNING].rpartition(b"\n")
    middle = cut + beginning[BEGINNING:] + gap + rest[:-END]
    last = rest[-END:].partition(b"\n")[2]
    return first + newline + _own_lines(middle) + LEFT_OUT + last


def _own_lines(middle: bytes) -> bytes:
    """The last of them; each ends with a newline."""
    prefix = CONSOLE_PREFIX.encode()
    lines = [line + b"\n" for line in middle.split(b"\n") if prefix in line]
    while sum(map(len, lines)) > OWN:
        del lines[: len(lines) // 2 + 1]
    return b"".join(lines)
