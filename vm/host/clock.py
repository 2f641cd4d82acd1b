"""Reports when this computer's clock jumps: when it is set, and after a sleep.

Linux notifies (Python 3.13 and later); elsewhere the clock is compared every few seconds with the
monotonic one.
"""

import contextlib
import os
import selectors
import socket
import sys
import time

POLL = 4.0  # seconds between two polls where the system does not notify
JUMP = 0.05  # seconds; a clock that is only slewed moves by a 25th of that meanwhile
FAR = float(1 << 33)  # seconds since 1970; never reached


class ClockJumps:
    """One thread waits, any may close. The constructor raises OSError; `wait` opens no more
    files."""

    def __init__(self) -> None:
        self._waiting = selectors.DefaultSelector()
        self._ended, self._end = socket.socketpair()
        self._timer = _timer()
        self._ahead = _ahead()
        for side in (self._ended, self._timer):
            if side is not None:
                self._waiting.register(side, selectors.EVENT_READ)

    def wait(self, seconds: float) -> bool:
        """True after a jump, False after `seconds` or `close`."""
        if self._timer is not None:
            return self._wait_for_timer(self._timer, seconds)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._is_closed(min(left, POLL)):
                return False
            before, self._ahead = self._ahead, _ahead()
            if abs(self._ahead - before) > JUMP:
                return True
        return False

    def close(self) -> None:
        """`wait` returns at once from now on."""
        with contextlib.suppress(OSError):
            self._end.send(b"\0")

    def free(self) -> None:
        """Called by the waiting thread after its last `wait`."""
        self._waiting.close()
        self._ended.close()
        self._end.close()
        if self._timer is not None:
            os.close(self._timer)
            self._timer = None

    def _wait_for_timer(self, timer: int, seconds: float) -> bool:
        ready = self._ready(seconds)
        if self._ended in ready or timer not in ready:
            return False
        with contextlib.suppress(OSError):  # ECANCELED reports the jump
            os.read(timer, 8)
        return True

    def _is_closed(self, seconds: float) -> bool:
        return bool(self._ready(seconds))

    def _ready(self, seconds: float) -> list[object]:
        """The readable files."""
        return [key.fileobj for key, _ in self._waiting.select(seconds)]


def _ahead() -> float:
    """The difference of the two clocks: only a jump changes it."""
    return time.time() - time.monotonic()


def _timer() -> int | None:
    """A timer that never expires, and is cancelled when the clock jumps."""
    if sys.platform == "linux" and sys.version_info >= (3, 13):
        timer = os.timerfd_create(time.CLOCK_REALTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
        flags = os.TFD_TIMER_ABSTIME | os.TFD_TIMER_CANCEL_ON_SET
        os.timerfd_settime(timer, flags=flags, initial=FAR)
        return timer
    return None
