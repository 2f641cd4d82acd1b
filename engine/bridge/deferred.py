"""A stream to dockerd in a machine that was put away: it begins when the machine is back.

Programs that show what Docker has come again by themselves, at once, when their stream of events
ends, as it does when the machine is put away: if that brought it back, it would never stay away. So
who only waits for events waits here, and a ping, which docker's clients begin with, is answered as
dockerd did last. Any other request brings the machine back, and so do events of the past. Next:
`pump.py`, `engine/lifecycle/resource_saver.py`.
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


class Rest(Protocol):
    """Whether the machine is away, for any thread."""

    def rests(self) -> bool:
        """It is away, or just coming back: who needs it is to wait."""

    def rest(self, until: Callable[[], bool]) -> None:
        """Returns when it no longer rests, or `until` is true, which is asked after `stir`."""

    def stir(self) -> None: ...

    def pong(self) -> bytes:
        """The headers of dockerd's last answer to a ping, b"" where nobody knows."""

    def awake(self) -> None:
        """Have it back. Raises GalleyError."""


class Later:
    """A `vm.guest.protocol.Stream`. `reach` dials, or says why not; `is_back`: that it can be
    tried."""

    def __init__(
        self, rest: Rest, reach: Callable[[], Stream | Problem], is_back: Callable[[], bool]
    ) -> None:
        self._rest = rest
        self._reach = reach
        self._is_back = is_back
        self._turn = threading.Lock()
        self._guest: Stream | None = None
        self._kept = b""  # for the guest
        self._answer = b""  # for the client
        self._is_wanted = False  # more than to wait
        self._has_all = False  # nothing more is sent
        self._closed = False

    @property
    def has_begun(self) -> bool:
        return self._guest is not None

    def recv(self, limit: int) -> bytes:
        if self._guest is None:
            self._rest.rest(self._has_to_move)
            with self._turn:
                answer, self._answer = self._answer[:limit], self._answer[limit:]
            if answer or self._closed:
                return answer
            if (problem := self._begin()) is not None:
                self._closed = True
                return refusal(problem)
        return self._guest.recv(limit) if self._guest is not None else b""

    def sendall(self, data: bytes) -> None:
        with self._turn:
            guest = self._guest
            if guest is None:
                self._take(data)
        if guest is None:
            self._rest.stir()
        else:
            guest.sendall(data)

    def shutdown_write(self) -> None:
        with self._turn:
            guest, self._has_all = self._guest, True
            if guest is None and not self._is_wanted:
                self._closed = True  # nobody waits any more
        if guest is None:
            self._rest.stir()
        else:
            guest.shutdown_write()

    def close(self) -> None:
        with self._turn:
            guest, self._closed = self._guest, True
        if guest is None:
            self._rest.stir()
        else:
            guest.close()

    def _take(self, data: bytes) -> None:
        ping, headers = _PING.match(data), self._rest.pong()
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
        """Why it cannot, or None."""
        try:
            if self._is_wanted:
                self._rest.awake()
        except GalleyError as error:
            return error.to_problem()
        self._rest.rest(lambda: self._closed or self._is_back())  # somebody else has it back
        guest = self._reach()
        if isinstance(guest, Problem):
            return guest
        with self._turn:
            if self._kept:
                guest.sendall(self._kept)
            if self._has_all:
                guest.shutdown_write()
            if self._closed:
                guest.close()
            self._guest = guest
        return None
