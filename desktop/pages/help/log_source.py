"""Reads log lines: from a watched file, or from the machine in a thread.

A file is read when the system reports a change, from where the last read ended. Next: `logs.py`,
which shows the rows.
"""

import threading
from functools import partial
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Signal

from desktop.context import AppContext
from desktop.session.throttle import Throttle
from desktop.widgets.log.ansi import AnsiReader
from desktop.widgets.log.rows import PIECE, LogRow
from engine import log_files
from engine.client import logs
from engine.docker.cancel import Cancel
from vm.errors import Cancelled, GalleyError, Problem

FIRST_LINES = 2_000
PAUSE_MS = 50


class RowReader:
    """Bytes as they come → rows; a line that is not whole yet is held back."""

    def __init__(self) -> None:
        self._held = b""
        self._ansi = AnsiReader()

    def rows(self, data: bytes) -> list[LogRow]:
        *lines, self._held = (self._held + data).split(b"\n")
        found = []
        for line in lines:
            text, spans = self._ansi.read(line.decode(errors="replace").rstrip("\r"))
            if len(text) <= PIECE:
                found.append(LogRow(text, spans))
            else:
                pieces = range(0, len(text), PIECE)
                found += [LogRow(text[at : at + PIECE], begins=at == 0) for at in pieces]
        return found


class LogSource(QObject):
    """From `open` to `close`; both signals come in the window's thread."""

    arrived = Signal(object)  # list[LogRow]
    ended = Signal(object)  # Problem, or None

    def __init__(self, app: AppContext, parent: QObject) -> None:
        super().__init__(parent)
        self._app = app
        self._reader = RowReader()
        self._closed = False

    def open(self) -> None: ...

    def close(self) -> None:
        self._closed = True


class FileSource(LogSource):
    def __init__(self, app: AppContext, component: str, parent: QObject) -> None:
        super().__init__(app, parent)
        self._path = log_files.log_file(app.link.home, component)
        self._place: log_files.FilePosition | None = None
        self._reading = self._again = False
        self._watcher = QFileSystemWatcher(self)
        self._watcher.fileChanged.connect(lambda _path: self._read())
        self._watcher.directoryChanged.connect(lambda _path: self._read())

    def open(self) -> None:
        self._read()

    def close(self) -> None:
        super().close()
        watched = [*self._watcher.files(), *self._watcher.directories()]
        if watched:
            self._watcher.removePaths(watched)

    def _read(self) -> None:
        """One reading at a time; what changes meanwhile is one more."""
        if self._closed:
            return
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        # Again each time: a file that was replaced is another one.
        there = [str(path) for path in (self._path, self._path.parent) if path.exists()]
        if there:
            self._watcher.addPaths(there)
        work = partial(_read_file, self._path, self._place, self._reader)
        self._app.tasks.quietly(work, self._take, self._fail)

    def _take(self, found: tuple[list[LogRow], log_files.FilePosition]) -> None:
        self._reading = False
        if self._closed:
            return
        rows, self._place = found
        if rows:
            self.arrived.emit(rows)
        if not self._path.exists():
            self.ended.emit(None)
        if self._again:
            self._read()

    def _fail(self, problem: Problem) -> None:
        self._reading = False
        if not self._closed:
            self.ended.emit(problem)


def _read_file(
    path: Path, place: log_files.FilePosition | None, reader: RowReader
) -> tuple[list[LogRow], log_files.FilePosition]:
    data, place_now = log_files.read_on(path, place)
    rows = reader.rows(data)
    return rows[-FIRST_LINES:] if place is None else rows, place_now


class EngineSource(LogSource):
    def __init__(self, app: AppContext, parent: QObject) -> None:
        super().__init__(app, parent)
        self._cancel = Cancel()
        self._lock = threading.Lock()
        self._waiting: list[LogRow] = []
        self._throttle = Throttle(app.tasks.invoker, self._take, PAUSE_MS, self)

    def open(self) -> None:
        threading.Thread(target=self._run, name="engine log", daemon=True).start()

    def close(self) -> None:
        super().close()
        self._throttle.close()
        # It may have to talk to the machine first, so not in the window's thread.
        threading.Thread(target=self._cancel.set, name="engine log end", daemon=True).start()

    def _run(self) -> None:
        problem: Problem | None = None
        try:
            home = self._app.link.home
            for data in logs.follow_engine(home, FIRST_LINES, self._cancel.closing):
                with self._lock:
                    self._waiting += self._reader.rows(data)
                self._throttle.notify()
        except Cancelled:
            return
        except GalleyError as error:
            problem = error.to_problem()
        if not self._cancel.is_set:
            self._app.tasks.invoker.invoke(partial(self._end, problem))

    def _take(self) -> None:
        with self._lock:
            rows, self._waiting = self._waiting, []
        if rows:
            self.arrived.emit(rows)

    def _end(self, problem: Problem | None) -> None:
        if not self._closed:
            self._take()
            self.ended.emit(problem)
