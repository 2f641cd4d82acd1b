"""Tracks whether the clients of the docker socket use the engine, without reading the answers.

A request is active from its first byte until its answer has ended. A chunked answer ends with its
last chunk; any other answer is short, or each of its bytes shows that it goes on. Requests that
wait for something to happen (events, a log that is followed, …) are not active, and their answers
are no activity: only what their clients send is. Requests for figures do not even count as use,
because a client that shows figures asks repeatedly. `ConnectionActivity` reports all this to the
`ActivityMonitor`. Next: `pump.py`, `engine/lifecycle/resource_saver.py`.
"""

import re
import threading
from collections.abc import Callable
from typing import Protocol

from engine.bridge.deferred import SuspendGate
from engine.dockerapi.chunked import LAST, Chunks
from engine.dockerapi.http import API

_WAITS = re.compile(
    API + rb"/(?:events|containers/[^/?]+/(?:attach|attach/ws|stats|wait))(?:\?|$)"
    rb"|"
    + API
    + rb"/(?:containers|services|tasks)/[^/?]+/logs\?(?:.*&)?follow=(?:1|[Tt]rue)(?:&|$)"
)
_LOOKS = re.compile(API + rb"/containers/[^/?]+/stats(?:\?|$)")
_STREAMS = re.compile(API + rb"/(?:events|containers/[^/?]+/(?:stats|logs))(?:\?|$)")
_HELD = re.compile(API + rb"/(?:session|grpc)(?:\?|$)")  # a build, as long as it is open
_INTERIM = re.compile(rb"HTTP/1\.[01] 10[02-9] ")  # another answer follows
_CHUNKED = b"\r\nTransfer-Encoding: chunked\r\n"  # as Go writes it


def is_interim(data: bytes) -> bool:
    """Whether it is "100 Continue" or its like and nothing else: the answer itself follows."""
    return _INTERIM.match(data) is not None and data.find(b"\r\n\r\n") + 4 == len(data)


class ActivityMonitor(SuspendGate, Protocol):
    """Counts requests of clients. Any thread."""

    def awake(self, uses: bool = True) -> None:
        """Called before bytes go to the guest: returns when it can take them. `uses`: this restarts
        the idle time. Raises GalleyError."""

    def begin(self) -> None:
        """A request is active, until `end`."""

    def end(self) -> None: ...

    def moved(self) -> None:
        """Bytes of an active request's answer came from the guest."""


class NullMonitor:
    """Ignores all activity; the engine is never suspended."""

    def awake(self, uses: bool = True) -> None: ...
    def begin(self) -> None: ...
    def end(self) -> None: ...
    def moved(self) -> None: ...
    def wait(self, until: Callable[[], bool]) -> None: ...
    def notify(self) -> None: ...

    def is_suspended(self) -> bool:
        return False

    def cached_ping_headers(self) -> bytes:
        return b""


NULL_MONITOR = NullMonitor()


class ConnectionActivity:
    """The activity of one connection. `asked` is called from one thread, `answers` from another."""

    def __init__(self, monitor: ActivityMonitor) -> None:
        self._monitor = monitor
        self._lock = threading.Lock()
        self._is_at_work = False
        self.only_looks = False
        self._only_waits = False
        self._is_held = False
        self._has_begun = False  # the answer
        self._is_chunked = False
        self._last = b""  # bytes of it
        self._streamed: Chunks | None = None  # what only waits, as far as it has gone to the client
        self._answered: Chunks | None = None  # the same, of the request that is being answered

    def asked(self, target: bytes) -> None:
        """A request begins."""
        only_waits = _WAITS.match(target) is not None
        self.only_looks = _LOOKS.match(target) is not None
        with self._lock:
            self._only_waits, self._has_begun = only_waits, False
            self._streamed = Chunks() if only_waits and _STREAMS.match(target) else None
            self._is_held = self._is_held or _HELD.match(target) is not None
            begins = not only_waits and not self._is_at_work
            self._is_at_work = not only_waits or self._is_at_work
        if begins:
            self._monitor.begin()

    def answers(self, data: bytes) -> None:
        """These bytes are about to go to the client, which may send the next request before `went`
        is called."""
        self._answered = self._streamed
        if self._only_waits:
            return
        self._monitor.moved()
        with self._lock:
            ends = self._is_at_work and not self._is_held and self._is_last(data)
            self._is_at_work = self._is_at_work and not ends
        if ends:
            self._monitor.end()

    def went(self, data: bytes) -> None:
        """The bytes of the last `answers` have been sent."""
        if self._answered is not None:
            self._answered.feed(data)

    def ending(self) -> bytes:
        """The end of the answer of a lost machine. A stream of events is complete at any time, so
        its client gets no error."""
        streamed = self._streamed
        return LAST if streamed is not None and streamed.may_end else b""

    def over(self) -> None:
        """The connection has ended."""
        with self._lock:
            ends, self._is_at_work = self._is_at_work, False
        if ends:
            self._monitor.end()

    def _is_last(self, data: bytes) -> bool:
        if not self._has_begun:
            if _INTERIM.match(data):
                return False
            self._has_begun = True
            self._is_chunked = data.find(_CHUNKED, 0, data.find(b"\r\n\r\n") + 2) >= 0
        self._last = (self._last + data[-len(LAST) :])[-len(LAST) :]
        return not self._is_chunked or self._last == LAST
