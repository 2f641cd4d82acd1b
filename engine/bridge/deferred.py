"""A stream to dockerd in a machine that the resource saver has suspended.

IDEs reconnect at once when their stream of events ends, as it does when the machine is suspended.
If that resumed the machine, it would never stay suspended. So a request for events waits here until
the machine is back, and a ping, which docker's clients begin with, is answered with the cached
headers of dockerd's last answer. Any other request resumes the machine, and so do events of the
past. Next: `pump.py`, `engine/lifecycle/resource_saver.py`.
"""

import re
import threading
from collections.abc import Callable
from typing import Protocol

from engine.dockerapi.http import API, refusal
from vm.errors import GalleyError, Problem
from vm.guest.protocol import Stream

_EVENTS = re.compile(rb"GET " + API + rb"/events(?:\?(?!\S*\buntil=)\S*)? ")
_PING = re.compile(rb"(GET|HEAD) " + API + rb"/_ping(?:\?\S*)? ")


class SuspendGate(Protocol):
    """Holds clients back while the machine is suspended. For any thread."""

    def is_suspended(self) -> bool:
        """The resource saver has suspended the machine, or it is being resumed."""

    def wait(self, until: Callable[[], bool]) -> None:
        """Returns when the machine is no longer suspended, or `until` is true. `until` is evaluated
        again after `notify`."""

    def notify(self) -> None: ...

    def cached_ping_headers(self) -> bytes:
        """The headers of dockerd's last answer to a ping; b"" if there are none."""

    def awake(self) -> None:
        """Resume the machine. Raises GalleyError."""


class DeferredStream:
    """A `vm.guest.protocol.Stream`. `reach` dials dockerd, or returns why it cannot; `is_back`:
    whether dialling can succeed."""

    def __init__(
        self, gate: SuspendGate, reach: Callable[[], Stream | Problem], is_back: Callable[[], bool]
    ) -> None:
        self._gate = gate
        self._reach = reach
        self._is_back = is_back
        self._lock = threading.Lock()
        self._guest: Stream | None = None
        self._kept = b""  # for the guest
        self._answer = b""  # for the client
        self._is_wanted = False  # a request needs the machine
        self._has_all = False  # the client has sent its last byte
        self._closed = False

    @property
    def has_begun(self) -> bool:
        return self._guest is not None

    def recv(self, limit: int) -> bytes:
        if self._guest is None:
            self._gate.wait(self._has_to_move)
            with self._lock:
                answer, self._answer = self._answer[:limit], self._answer[limit:]
            if answer or self._closed:
                return answer
            if (problem := self._begin()) is not None:
                self._closed = True
                return refusal(problem)
        return self._guest.recv(limit) if self._guest is not None else b""

    def sendall(self, data: bytes) -> None:
        with self._lock:
            guest = self._guest
            if guest is None:
                self._take(data)
        if guest is None:
            self._gate.notify()
        else:
            guest.sendall(data)

    def shutdown_write(self) -> None:
        with self._lock:
            guest, self._has_all = self._guest, True
            if guest is None and not self._is_wanted:
                self._closed = True  # the client has gone
        if guest is None:
            self._gate.notify()
        else:
            guest.shutdown_write()

    def close(self) -> None:
        with self._lock:
            guest, self._closed = self._guest, True
        if guest is None:
            self._gate.notify()
        else:
            guest.close()

    def _take(self, data: bytes) -> None:
        ping, headers = _PING.match(data), self._gate.cached_ping_headers()
        if ping is not None and headers and not self._kept:
            body = b"OK" if ping[1] == b"GET" else b""
            length = b"Content-Length: %d\r\n\r\n" % len(body)
            self._answer += b"HTTP/1.1 200 OK\r\n" + headers + length + body
            return
        self._kept += data
        self._is_wanted = self._is_wanted or _EVENTS.match(data) is None

    def _has_to_move(self) -> bool:
        return bool(self._answer) or self._closed or self._is_wanted or self._is_back()

    def _begin(self) -> Problem | None:
        """Resume the machine if a request needs it, and dial. Returns the problem if that fails."""
        try:
            if self._is_wanted:
                self._gate.awake()
        except GalleyError as error:
            return error.to_problem()
        self._gate.wait(lambda: self._closed or self._is_back())  # resumed by another client
        guest = self._reach()
        if isinstance(guest, Problem):
            return guest
        with self._lock:
            if self._kept:
                guest.sendall(self._kept)
            if self._has_all:
                guest.shutdown_write()
            if self._closed:
                guest.close()
            self._guest = guest
        return None
