"""A cancellation that interrupts blocked threads. Next: `transport.py`.

A thread that reads a socket cannot check a flag. It registers how to interrupt it, with `closing`,
and `set` does that from any thread.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.messages.docker import DOCKER_CANCELLED
from vm.errors import Cancelled


class Cancel:
    """Set once, for good. Any thread may call anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._closers: list[Callable[[], None]] = []

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with self._lock:
            self._is_set = True
            closers, self._closers = self._closers, []
        for close in closers:  # not under the lock: it may call back into this object
            close()

    def check(self) -> None:
        """Raises Cancelled once it is set."""
        if self._is_set:
            raise Cancelled(DOCKER_CANCELLED)

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """`close` is called if it is set meanwhile; at once if it is set already."""
        with self._lock:
            late = self._is_set
            if not late:
                self._closers.append(close)
        if late:
            close()
        try:
            yield
        finally:
            with self._lock:
                self._closers = [other for other in self._closers if other is not close]
