"""A shell in a container, and the two threads that talk to it.

One thread opens the terminal, reads it and feeds the screen; the other writes what is typed and
sends new sizes, in order. The window gets at most one frame each time it can draw. Next: `tab.py`.
"""

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject, Signal

from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.session.throttle import Throttle
from desktop.widgets.terminal.screen import HISTORY, Frame, TerminalScreen
from desktop.widgets.terminal.styled_runs import text_of
from vm.errors import GalleyError, Problem

if TYPE_CHECKING:
    from engine.docker.exec import Pty

FRAME_SECONDS = 0.033
CHUNK = 2_048  # bytes that are fed between two frames
SHELL = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh")
NOT_STARTED = (126, 127)
NO_PROGRAM = ("executable file not found", "no such file or directory")
HANG_UP_SECONDS = 0.8  # to hang up when the window closes


class Ending(msgspec.Struct, frozen=True):
    """How a session has ended. `problem`: why it could not begin."""

    code: int | None = None
    problem: Problem | None = None


class TerminalSession(QObject):
    """Signals in the window's thread: `drawn` with a Frame; `ended` with an Ending, once."""

    drawn = Signal(object)
    ended = Signal(object)

    def __init__(self, app: AppContext, key: str, columns: int, rows: int, parent: QObject) -> None:
        super().__init__(parent)
        self._app = app
        self._key = key
        self._size = (columns, rows)
        self._screen = TerminalScreen(columns, rows, self.write)
        self._orders: queue.SimpleQueue[bytes | tuple[int, int] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._ending: Ending | None = None
        self._pty: Pty | None = None
        self._closed = False
        self._throttle = Throttle(app.tasks.invoker, self._take, round(1000 * FRAME_SECONDS), self)

    def open(self) -> None:
        threading.Thread(target=self._run, name="terminal", daemon=True).start()

    def write(self, data: bytes) -> None:
        self._orders.put(data)

    def resize(self, columns: int, rows: int) -> None:
        self._orders.put((columns, rows))

    def close(self, seconds: float = 0.0) -> None:
        """Hang up; `seconds`: how long to wait until that is done."""
        self._throttle.close()
        with self._lock:
            self._closed, pty = True, self._pty
        self._orders.put(None)
        if pty is not None:
            thread = threading.Thread(target=_hang_up, args=(pty,), daemon=True)
            thread.start()
            thread.join(seconds)

    # In the reading thread

    def _run(self) -> None:
        ending = Ending()
        try:
            pty = self._open()
            if pty is not None:
                with contextlib.closing(pty):
                    self._read(pty)
                    ending = self._ending_of(pty.exit_code())
        except GalleyError as error:
            ending = Ending(problem=self._explained(error.to_problem()))
        self._orders.put(None)
        with self._lock:
            self._ending = ending
        self._throttle.notify()

    def _open(self) -> "Pty | None":
        """None when it was closed meanwhile."""
        from engine.docker.exec import open_pty

        pty = open_pty(self._app.connection.client.api, self._key, SHELL, *self._size)
        with self._lock:
            if not self._closed:
                self._pty = pty
        if self._closed:
            pty.close()
            return None
        threading.Thread(target=self._write, args=(pty,), name="typing", daemon=True).start()
        return pty

    def _read(self, pty: "Pty") -> None:
        drawn = 0.0
        while data := pty.read():
            for at in range(0, len(data), CHUNK):
                self._screen.feed(data[at : at + CHUNK])
                if time.monotonic() - drawn > FRAME_SECONDS:
                    self._draw()
                    drawn = time.monotonic()
            self._draw()

    def _draw(self) -> None:
        """Queue a frame for the window, merged with one that was not shown yet."""
        frame = self._screen.frame()
        with self._lock:
            if self._frame is not None:
                scrolled = (self._frame.scrolled + frame.scrolled)[-HISTORY:]
                frame = msgspec.structs.replace(frame, scrolled=scrolled)
            self._frame = frame
        self._throttle.notify()

    def _ending_of(self, code: int | None) -> Ending:
        """Recognizes dockerd's error for a missing shell, which arrives as terminal output."""
        output = " ".join(map(text_of, self._screen.frame().rows)).lower()
        if code in NOT_STARTED and any(words in output for words in NO_PROGRAM):
            return Ending(problem=no_shell())
        return Ending(code)

    def _explained(self, problem: Problem) -> Problem:
        text = f"{problem.summary} {problem.details}".lower()
        return no_shell() if any(words in text for words in NO_PROGRAM) else problem

    # In the writing thread

    def _write(self, pty: "Pty") -> None:
        while (order := self._orders.get()) is not None:
            try:
                if isinstance(order, bytes):
                    pty.write(order)
                else:
                    self._screen.resize(*order)
                    pty.resize(*order)
                    self._draw()
            except GalleyError:
                return  # the reading thread gets the same error

    # In the window's

    def _take(self) -> None:
        with self._lock:
            frame, self._frame = self._frame, None
            ending, self._ending = self._ending, None
        if frame is not None:
            self.drawn.emit(frame)
        if ending is not None:
            self._throttle.close()
            self.ended.emit(ending)


def no_shell() -> Problem:
    return Problem(
        "ObjectGone",
        tr("This container has no shell."),
        tr("A terminal needs a shell in the image. Files, Stats and Inside work without one."),
    )


def _hang_up(pty: "Pty") -> None:
    try:
        pty.close()
    except GalleyError:
        return  # it is gone already
