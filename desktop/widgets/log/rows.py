"""The rows of a log in memory.

A row is a line, or a piece of a very long one. Its number stays while older rows are dropped, so
that positions stay valid. Next: `view.py`, which shows them.
"""

import bisect
import re
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec

from desktop.widgets.log.ansi import Span

MOST_ROWS = 100_000
MOST_CHARACTERS = 48_000_000
PIECE = 1024  # characters of a row; a longer line is several


class LogRow(msgspec.Struct, frozen=True, gc=False):
    """`begins`: not a later piece of a line."""

    text: str
    spans: tuple[Span, ...] = ()
    time: float = 0.0
    is_error: bool = False
    begins: bool = True

    @property
    def moment(self) -> str:
        """When it was written, in local time; of a later piece nothing."""
        if not self.begins or not self.time:
            return ""
        return datetime.fromtimestamp(self.time).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


class LogPosition(msgspec.Struct, frozen=True, order=True):
    """Between two characters."""

    row: int
    column: int


class LogRows:
    """The newest rows. `first` and `end` are numbers of rows."""

    def __init__(self, most: int = MOST_ROWS, most_characters: int = MOST_CHARACTERS) -> None:
        self.first = 0
        self._rows: list[LogRow] = []
        self._most = most
        self._most_characters = most_characters
        self._characters = 0

    @property
    def end(self) -> int:
        return self.first + len(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> LogRow:
        return self._rows[number - self.first]

    def extend(self, rows: Sequence[LogRow]) -> None:
        self._rows += rows
        self._characters += sum(len(row.text) for row in rows)
        going = max(0, len(self._rows) - self._most)
        gone = sum(len(row.text) for row in self._rows[:going])
        while self._characters - gone > self._most_characters and going < len(self._rows) - 1:
            gone += len(self._rows[going].text)
            going += 1
        if going:
            del self._rows[:going]
            self.first += going
            self._characters -= gone

    def clear(self) -> None:
        self.first = self.end
        self._rows = []
        self._characters = 0

    def text(self, start: LogPosition, end: LogPosition) -> str:
        """The text between two positions; pieces of one line are joined."""
        parts: list[str] = []
        for number in range(max(start.row, self.first), min(end.row + 1, self.end)):
            row = self[number]
            if parts and row.begins:
                parts.append("\n")
            left = start.column if number == start.row else 0
            right = end.column if number == end.row else len(row.text)
            parts.append(row.text[left:right])
        return "".join(parts)


class LogSearch:
    """The rows that match a search, found step by step."""

    def __init__(self, words: str, rows: LogRows) -> None:
        self.pattern = re.compile(re.escape(words), re.IGNORECASE)
        self.hits: list[int] = []
        self._rows = rows
        self._next = rows.first

    def go_on(self, seconds: float) -> bool:
        """Search for so long; True when everything has been searched."""
        until = time.perf_counter() + seconds
        self._next = max(self._next, self._rows.first)
        self._forget()
        while self._next < self._rows.end:
            stop = min(self._next + 500, self._rows.end)
            search = self.pattern.search
            self.hits += [n for n in range(self._next, stop) if search(self._rows[n].text)]
            self._next = stop
            if time.perf_counter() > until:
                return self._next >= self._rows.end
        return True

    def following(self, row: int) -> int | None:
        """The next hit after this row; the first one after the last."""
        if not self.hits:
            return None
        return self.hits[bisect.bisect_right(self.hits, row) % len(self.hits)]

    def preceding(self, row: int) -> int | None:
        return self.hits[bisect.bisect_left(self.hits, row) - 1] if self.hits else None

    def rank(self, row: int) -> int:
        """Its place among the hits, from 1; 0 when it is none."""
        place = bisect.bisect_left(self.hits, row)
        return place + 1 if place < len(self.hits) and self.hits[place] == row else 0

    def _forget(self) -> None:
        del self.hits[: bisect.bisect_left(self.hits, self._rows.first)]
