"""Reads a container's log in its own thread.

The thread converts data to rows, and waits while the window has not taken the last ones. It ends
with the container; a new feed with the `mark` of the old one continues there.
"""

import threading
from collections.abc import Iterable
from functools import partial

from PySide6.QtCore import QObject, Signal

from desktop.context import AppContext
from desktop.session.throttle import Throttle
from desktop.widgets.log.ansi import AnsiReader
from desktop.widgets.log.rows import PIECE, LogRow
from engine.docker.cancel import Cancel
from engine.docker.types import LogLine
from vm.errors import Cancelled, GalleyError, Problem

FIRST_LINES = 2_000
PAUSE_MS = 24  # between two turns of the window
TURN = 2_000  # rows that the window takes in one
MOST_WAITING = 2_000  # rows; the thread waits for the window above it
MANY = -1  # lines of the past: all


class Mark:
    """How far a log has been read: the newest time, and how many lines have it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.count = 0

    def note(self, line: LogLine) -> None:
        if line.time > self.time:
            self.time, self.count = line.time, 0
        if line.time == self.time:
            self.count += 1

    def unseen(self, lines: Iterable[LogLine], seen: int) -> tuple[list[LogLine], int]:
        """Without the first `seen` lines of that time, or older; and the remaining `seen`."""
        found = []
        for line in lines:
            if seen and line.time <= self.time:
                seen -= line.time == self.time
            else:
                seen = 0
                found.append(line)
        return found, seen


class RowMaker:
    """Lines of Docker → rows of the window. One thread's."""

    def __init__(self) -> None:
        self._readers = {"stdout": AnsiReader(), "stderr": AnsiReader()}
        self._within: str = ""  # the stream of the row before, when its line goes on

    def rows(self, line: LogLine) -> list[LogRow]:
        text, spans = self._readers[line.stream].read(line.text)
        is_error = line.stream == "stderr"
        begins = self._within != line.stream
        self._within = line.stream if line.goes_on else ""
        if not text and not begins:  # the end of a line that came in pieces
            return []
        if len(text) <= PIECE:
            return [LogRow(text, spans, line.time, is_error, begins)]
        found = []
        for at in range(0, len(text), PIECE):
            inside = [
                (max(start - at, 0), min(start + size, at + PIECE) - max(start, at), style)
                for start, size, style in spans
                if start < at + PIECE and start + size > at
            ]
            piece = text[at : at + PIECE]
            found.append(LogRow(piece, tuple(inside), line.time, is_error, begins and at == 0))
        return found


class LogFeed(QObject):
    """One read of the log; start and end are reported in the window's thread."""

    arrived = Signal(object)  # list[LogRow]
    ended = Signal(object)  # Problem, or None when the container has ended

    def __init__(
        self, app: AppContext, key: str, mark: Mark, maker: RowMaker, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._app = app
        self._key = key
        self._mark = mark
        self._maker = maker
        self._cancel = Cancel()
        self._waiting: list[LogRow] = []
        self._room = threading.Condition()
        self._throttle = Throttle(app.tasks.invoker, self._take, PAUSE_MS, self)
        self._over = False
        self._problem: Problem | None = None

    def open(self) -> None:
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def close(self) -> None:
        self._throttle.close()
        self._cancel.set()
        with self._room:
            self._room.notify()

    # In the thread

    def _run(self) -> None:
        problem: Problem | None = None
        try:
            self._read()
        except Cancelled:
            return
        except GalleyError as error:
            problem = error.to_problem()
        self._app.tasks.invoker.invoke(partial(self._end, problem))

    def _read(self) -> None:
        from engine.docker.streams import logs

        containers = self._app.connection.client.containers
        mark = self._mark
        again = mark.time > 0
        seen = mark.count if again else 0
        tail = MANY if again else FIRST_LINES
        for batch in logs(containers, self._key, self._cancel, tail=tail, since=mark.time):
            lines: Iterable[LogLine] = batch
            if seen:
                lines, seen = mark.unseen(batch, seen)
            rows: list[LogRow] = []
            for line in lines:
                mark.note(line)
                rows += self._maker.rows(line)
            self._hand_over(rows)

    def _hand_over(self, rows: list[LogRow]) -> None:
        with self._room:
            while len(self._waiting) > MOST_WAITING and not self._cancel.is_set:
                self._room.wait()
            self._waiting += rows
        self._throttle.notify()

    # In the window's

    def _take(self) -> None:
        with self._room:
            rows, self._waiting = self._waiting[:TURN], self._waiting[TURN:]
            more = bool(self._waiting)
            self._room.notify()
        if rows:
            self.arrived.emit(rows)
        if more:
            self._throttle.notify()
        elif self._over:
            self._over = False
            self._throttle.close()
            self.ended.emit(self._problem)

    def _end(self, problem: Problem | None) -> None:
        """After the end of the thread; its remaining rows come first."""
        self._over, self._problem = True, problem
        self._throttle.notify()
