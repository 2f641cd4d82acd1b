"""Limits how often the window's thread handles what another thread reports.

A stream may call `notify` thousands of times a second; `take` is then called once per pause, and
once more at the end.
"""

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from desktop.session.tasks import MainThreadInvoker


class Throttle(QObject):
    """Lives in the window's thread; `notify` may be called from any."""

    def __init__(
        self, invoker: MainThreadInvoker, take: Callable[[], object], pause_ms: int, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._invoker = invoker
        self._take = take
        self._lock = threading.Lock()
        self._notified = False
        self._closed = False
        self._timer = QTimer(self, singleShot=True, interval=pause_ms)
        self._timer.timeout.connect(self._pause_over)

    def notify(self) -> None:
        with self._lock:
            waiting, self._notified = self._notified, True
        if not waiting:
            self._invoker.invoke(self._begin)

    def close(self) -> None:
        """Do not call `take` any more."""
        self._closed = True

    def _begin(self) -> None:
        if not self._closed and not self._timer.isActive():
            self._take_now()

    def _pause_over(self) -> None:
        if self._notified and not self._closed:
            self._take_now()

    def _take_now(self) -> None:
        with self._lock:
            self._notified = False
        self._timer.start()
        self._take()
