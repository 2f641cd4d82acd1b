"""The terminal emulator without its widget: bytes in, cells out.

`TerminalScreen` is fed in a worker thread, under its lock; the window gets a `Frame` of immutable
values. pyte is the emulator; what it lacks and programs need (the alternate screen of editors,
scrollback, styles with private markers) is here. Next: `view.py`.
"""

import codecs
import re
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyte
from pyte.charsets import LAT1_MAP
from pyte.modes import DECAWM, IRM
from pyte.screens import Char
from wcwidth import wcwidth

from desktop.widgets.terminal.styled_runs import MOST_STYLES, Cells, Row, runs

HISTORY = 5_000  # lines that have scrolled away
PRIVATE = 5  # pyte shifts the numbers of private modes by it
ARROWS_OF_PROGRAMS, PASTE_IN_BRACKETS = 1, 2004
LONGEST_SEQUENCE = 4096  # characters of one, a title for example, that pyte keeps until its end
MOST_MARKS = 16  # upon a letter; with each, pyte puts them all in order again
SECOND_SCREENS = (47, 1047, 1049)
# ESC [ > … and its like ask a terminal what it is; pyte would take them for styles.
_QUESTIONS = re.compile(r"\x1b\[[>=<][0-9;:]*[a-zA-Z~]")


class Frame(msgspec.Struct, frozen=True):
    """The visible lines. `scrolled`: lines that went into the scrollback since the last frame."""

    columns: int
    rows: tuple[Row, ...]
    scrolled: tuple[Row, ...]
    cursor: tuple[int, int] | None  # column, row; None while it is hidden
    application_arrows: bool
    bracketed_paste: bool
    second_screen: bool  # an editor or a pager has all of it


class TerminalScreen:
    """One session's. Any thread may call anything."""

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], object]) -> None:
        self._lock = threading.Lock()
        self._screen = _Screen(columns, rows, answer)
        self._stream = _Stream(self._screen)
        self._stream.use_utf8 = False  # only enables line drawing by letters
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rows: list[Row] = [()] * rows

    def feed(self, data: bytes) -> None:
        text = _QUESTIONS.sub("", self._decoder.decode(data))
        with self._lock:
            self._stream.feed(text)

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self._screen.resize(rows, columns)

    def frame(self) -> Frame:
        """Only what has changed since the last frame is converted."""
        with self._lock:
            screen = self._screen
            if len(self._rows) != screen.lines:
                self._rows = [()] * screen.lines
                screen.dirty.update(range(screen.lines))
            for number in screen.dirty:
                if number < screen.lines:
                    self._rows[number] = runs(screen.buffer.get(number, {}))
            screen.dirty.clear()
            scrolled = tuple(map(runs, screen.history))
            screen.history.clear()
            at = min(screen.cursor.x, screen.columns - 1), screen.cursor.y
            return Frame(
                screen.columns,
                tuple(self._rows),
                scrolled,
                None if screen.cursor.hidden else at,
                screen.has(ARROWS_OF_PROGRAMS),
                screen.has(PASTE_IN_BRACKETS),
                screen.is_second,
            )


class _Stream(pyte.Stream):
    """Continues after input on which pyte fails: a program may write any bytes."""

    _held = 0  # characters of a sequence that has not ended

    def _send_to_parser(self, data: str) -> bool | None:
        try:
            is_plain = super()._send_to_parser(data)
        except (
            TypeError, ValueError, IndexError, AssertionError, AttributeError, UnboundLocalError
        ):  # fmt: skip
            is_plain = True
        self._held = 0 if is_plain else self._held + len(data)
        if self._held > LONGEST_SEQUENCE:
            self._initialize_parser()
            self._held, is_plain = 0, True
        return is_plain


class _PlainCells(dict[str, Char]):
    """The cells of one style, each made once."""

    def __init__(self, attributes: Char) -> None:
        super().__init__()
        self._attributes = attributes

    def __missing__(self, char: str) -> Char:
        cell = self[char] = self._attributes._replace(data=char)
        return cell


class _Screen(pyte.Screen):
    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], object]) -> None:
        self.history: deque[Cells] = deque(maxlen=HISTORY)
        self._answer = answer
        self._first: tuple[Any, Any] | None = None  # the screen below the second one
        self._kept: dict[tuple[str | bool, ...], _PlainCells] = {}
        super().__init__(columns, rows)

    @property
    def is_second(self) -> bool:
        return self._first is not None

    def has(self, mode: int) -> bool:
        return mode << PRIVATE in self.mode

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())

    def reset(self) -> None:
        """As in xterm, letters stay letters after a stray "shift out"."""
        super().reset()
        self.g1_charset = LAT1_MAP

    def draw(self, data: str) -> None:
        plain = not self.charset and self.g0_charset is LAT1_MAP and IRM not in self.mode
        if plain and data.isascii() and data.isprintable():
            self._draw_plain(data)
            return
        if not data.isascii():
            data = "".join(self._drawn(data))
        super().draw(data)

    def _drawn(self, data: str) -> Iterator[str]:
        """pyte leaves out all that follows a character without a width."""
        marks = self._marks_before()
        for char in data:
            is_mark = bool(unicodedata.combining(char))
            marks = marks + 1 if is_mark else 0
            if (is_mark and marks <= MOST_MARKS) or (not is_mark and wcwidth(char) > 0):
                yield char

    def _marks_before(self) -> int:
        x, y = (
            (self.cursor.x, self.cursor.y) if self.cursor.x else (self.columns, self.cursor.y - 1)
        )
        return len(self.buffer[y][x - 1].data) - 1 if y in self.buffer else 0

    def _draw_plain(self, data: str) -> None:
        """Does what pyte does for each character for a whole run: ten times as fast."""
        cells = self._plain_cells(self.cursor.attrs)
        at = 0
        while at < len(data):
            if self.cursor.x >= self.columns:
                if DECAWM in self.mode:
                    self.carriage_return()
                    self.linefeed()
                else:
                    self.cursor.x = self.columns - 1
            piece = data[at : at + self.columns - self.cursor.x]
            end = self.cursor.x + len(piece)
            line = self.buffer[self.cursor.y]
            line.update(zip(range(self.cursor.x, end), map(cells.__getitem__, piece), strict=True))
            self.dirty.add(self.cursor.y)
            self.cursor.x = end
            at += len(piece)

    def _plain_cells(self, attributes: Char) -> "_PlainCells":
        key = attributes[1:]
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) > MOST_STYLES:
                self._kept.clear()
            found = self._kept[key] = _PlainCells(attributes)
        return found

    def tab(self) -> None:
        """pyte keeps the stops of a wider screen."""
        super().tab()
        self.cursor.x = min(self.cursor.x, self.columns - 1)

    def index(self) -> None:
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom and top == 0 and self._first is None:
            self.history.append(self.buffer.get(0, {}))
        super().index()

    def select_graphic_rendition(self, *attrs: int, **kwargs: Any) -> None:
        if not kwargs.get("private"):
            super().select_graphic_rendition(*attrs)

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        if kwargs.get("private") and self._first is None and {*modes} & {*SECOND_SCREENS}:
            self.save_cursor()
            self._first = (self.buffer.copy(), self.margins)
            self.margins = None
            self.buffer.clear()
            self.dirty.update(range(self.lines))
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and self._first is not None and {*modes} & {*SECOND_SCREENS}:
            lines, self.margins = self._first
            self._first = None
            self.buffer.clear()
            self.buffer.update(lines)
            self.restore_cursor()
            self.ensure_hbounds()
            self.ensure_vbounds()
            self.dirty.update(range(self.lines))

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """pyte drops lines from above; here they go to history, and only as many as it takes."""
        lines = lines or self.lines
        over = max(0, self.cursor.y + 1 - lines)
        if over:
            if self._first is None:
                self.history.extend(self.buffer.get(number, {}) for number in range(over))
            kept = {number - over: line for number, line in self.buffer.items() if number >= over}
            self.buffer.clear()
            self.buffer.update(kept)
            self.cursor.y -= over
        for number in [number for number in self.buffer if number >= lines]:
            del self.buffer[number]
        self.lines = min(self.lines, lines)
        super().resize(lines, columns)
        for line in (*self.buffer.values(), *(self._first[0].values() if self._first else ())):
            for column in [column for column in line if column >= self.columns]:
                del line[column]  # pyte lets some pass the edge
        self.margins = None
        if self._first is not None:
            self._first = (self._first[0], None)
        self.cursor.x = min(self.cursor.x, self.columns)  # which pyte forgets
        self.dirty.update(range(self.lines))
