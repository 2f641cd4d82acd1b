"""News from a thread, taken in the window's thread no faster than it can be seen.

A stream may ring thousands of times a second; `take` is then called once for each pause, and once
more when it ends.
"""

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from desktop.session.tasks import Bell


class Pace(QObject):
    """Lives in the window's thread; `ring` may be called from any."""

    def __init__(
        self, bell: Bell, take: Callable[[], object], pause_ms: int, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._bell = bell
        self._take = take
        self._lock = threading.Lock()
        self._rung = False
        self._closed = False
        self._timer = QTimer(self, singleShot=True, interval=pause_ms)
        self._timer.timeout.connect(self._pause_over)

    def ring(self) -> None:
        with self._lock:
            waiting, self._rung = self._rung, True
        if not waiting:
            self._bell.ring(self._answer)

    def close(self) -> None:
        """Nothing is taken any more."""
        self._closed = True

    def _answer(self) -> None:
        if not self._closed and not self._timer.isActive():
            self._take_now()

    def _pause_over(self) -> None:
        if self._rung and not self._closed:
            self._take_now()

    def _take_now(self) -> None:
        with self._lock:
            self._rung = False
        self._timer.start()
        self._take()
