"""Connects the local terminal to a program in the guest.

`attach` does all of it: raw mode, both directions, the window's size, the exit code, and restoring
the terminal in any case. Next: `ssh.py`, which makes the sessions.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from types import FrameType

from vm.errors import GuestUnreachable
from vm.guest.protocol import Session, Size
from vm.messages.guest import GUEST_LOST

CHUNK = 65536
SIZE_POLL = None if hasattr(signal, "SIGWINCH") else 0.25  # seconds between polls of the size
KILLED = 255  # ssh's exit code for a program without one

type Event = BaseException | str
type Show = Callable[[bytes], bytes]
RESIZE, END = "resize", "end"


def is_interactive() -> bool:
    """Whether stdin and stdout are terminals, so that the guest should use a pty too."""
    return os.isatty(0) and os.isatty(1)


def size() -> Size:
    """The local window's size. Not shutil's, which trusts COLUMNS."""
    for handle in (1, 0, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(handle)
            return Size(columns or 80, rows or 24)
    return Size(80, 24)


def attach(
    session: Session,
    *,
    pty: bool,
    feed: bool = True,
    shown: Callable[[], Show] = lambda: bytes,
) -> int:
    """Join this process's stdout, stderr and (`feed`) stdin to the session; return its exit code.
    `shown` makes a filter for each output.

    Raises BrokenPipeError when our own output was closed, GuestUnreachable when the guest was lost.
    """
    events: SimpleQueue[Event] = SimpleQueue()
    try:
        with raw_mode() if pty else contextlib.nullcontext(), _resizes(events, pty):
            _start_pumps(session, events, feed, shown)
            _wait_for_end(session, events, pty)
            status = session.exit_status()
    finally:
        session.close()
    return KILLED if status < 0 else status


def _wait_for_end(session: Session, events: SimpleQueue[Event], pty: bool) -> None:
    """Pass on changes of the window's size until both of the session's outputs have ended."""
    last, open_outputs = size(), 2
    if pty:
        session.resize(last)  # it may have changed since the session was opened
    while open_outputs:
        try:
            event = events.get(timeout=SIZE_POLL)
        except Empty:
            event = RESIZE
        if isinstance(event, BaseException):
            raise event
        if event == END:
            open_outputs -= 1
        elif pty and (now := size()) != last:
            last = now
            session.resize(now)


def _start_pumps(
    session: Session, events: SimpleQueue[Event], feed: bool, shown: Callable[[], Show]
) -> None:
    # Daemons: a read from a terminal, which some systems cannot interrupt, must not delay the exit.
    outputs: tuple[tuple[Callable[[int], bytes], int], ...] = (
        (session.recv, 1),
        (session.recv_stderr, 2),
    )
    for receive, handle in outputs:
        words = (receive, shown(), handle, events)
        threading.Thread(target=_output, args=words, daemon=True).start()
    if feed:
        threading.Thread(target=_input, args=(session,), daemon=True).start()


def _output(
    receive: Callable[[int], bytes], show: Show, handle: int, events: SimpleQueue[Event]
) -> None:
    """Copy the guest's output until it ends."""
    while True:
        try:
            data = receive(CHUNK)
        except OSError as error:
            events.put(_lost(error))
            return
        if not data:
            events.put(END)
            return
        try:
            write_all(handle, show(data))
        except OSError as error:
            events.put(error)
            return


def _lost(error: OSError) -> GuestUnreachable:
    return GuestUnreachable(
        GUEST_LOST,
        details=str(error),
    )


def _input(session: Session) -> None:
    """Copy the input to the guest until either has ended."""
    with contextlib.suppress(OSError):
        while data := os.read(0, CHUNK):
            session.sendall(data)
        session.shutdown_write()


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`, without Python's buffers: a prompt has no newline."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@contextlib.contextmanager
def _resizes(events: SimpleQueue[Event], pty: bool) -> Iterator[None]:
    """An event for SIGWINCH; without that signal, `_wait_for_end` polls the size."""

    def changed(_number: int, _frame: FrameType | None) -> None:
        events.put(RESIZE)  # SimpleQueue.put is safe in a signal handler

    with _handled(("SIGWINCH",) if pty else (), changed):
        yield


@contextlib.contextmanager
def raw_mode() -> Iterator[None]:
    """Send every key to the guest, Ctrl+C too; restored on any exit but SIGKILL."""
    restore = _enter_raw()
    try:
        with _deadly_signals_unwind():
            yield
    finally:
        restore()


@contextlib.contextmanager
def _deadly_signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP become SystemExit, so that `finally` blocks run."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handled(("SIGTERM", "SIGHUP"), leave):
        yield


type Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def _handled(names: tuple[str, ...], handler: Handler) -> Iterator[None]:
    """Handle these signals meanwhile: those that the system has, in the main thread only."""
    mine = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in names if mine and hasattr(signal, name)]
    previous = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, before in previous:
            signal.signal(number, before)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    # Input: no line editing, no echo, no Ctrl+C handling; keys as the escape codes of a terminal.
    _COOKED, _VT_INPUT = 0x0001 | 0x0002 | 0x0004, 0x0200
    # Output: the guest's escape codes are obeyed; a newline does not return the carriage.
    _VT_OUTPUT = 0x0001 | 0x0004 | 0x0008

    def _console_mode(number: int) -> tuple[int, int]:
        handle = ctypes.windll.kernel32.GetStdHandle(number)
        mode = wintypes.DWORD()
        ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(mode))
        return handle, mode.value

    def _enter_raw() -> Callable[[], None]:
        (input_handle, input_mode), (output_handle, output_mode) = map(_console_mode, (-10, -11))
        set_mode = ctypes.windll.kernel32.SetConsoleMode
        set_mode(input_handle, (input_mode & ~_COOKED) | _VT_INPUT)
        set_mode(output_handle, output_mode | _VT_OUTPUT)

        def restore() -> None:
            set_mode(input_handle, input_mode)
            set_mode(output_handle, output_mode)

        return restore

else:
    import termios
    import tty

    def _enter_raw() -> Callable[[], None]:
        before = termios.tcgetattr(0)
        tty.setraw(0)
        return lambda: termios.tcsetattr(0, termios.TCSADRAIN, before)
