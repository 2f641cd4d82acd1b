"""Sends changes to the guest over one connection, made when the first change is sent.

Next: `engine/guest/files/source/events.c`.
"""

import threading
from collections.abc import Callable, Sequence

from engine.file_events.change import Change, encode
from vm.errors import GalleyError
from vm.guest.protocol import Stream

LOST = (GalleyError, OSError)


class EventSender:
    """`send` from one thread, `close` from any."""

    def __init__(self, dial: Callable[[], Stream]) -> None:
        self._dial = dial
        self._lock = threading.Lock()
        self._stream: Stream | None = None

    def send(self, changes: Sequence[Change]) -> None:
        """Blocks while the guest is slow. Raises one of LOST; the connection is closed then."""
        stream = self._stream
        if stream is None:
            stream = self._dial()
            with self._lock:
                self._stream = stream
        try:
            stream.sendall(encode(changes))
        except LOST:
            self.close()
            raise

    def close(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
