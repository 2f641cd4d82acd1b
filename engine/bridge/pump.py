"""Bytes both ways between a client and the guest, until both ways have ended.

Each direction ends by itself: a half-close arrives as a half-close, so that `docker run -i` may
read what comes after the end of its input. A side that is lost ends both. A slow reader stops its
writer: nothing is kept here but the one block in hand. May import: `vm.guest`. Next: `bridge.py`.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from vm.guest import Stream

BLOCK = 256 * 1024  # bytes read at once; a socket gives what it has


class Client(Stream, Protocol):
    """A local connection. Its descriptor is closed by its owner alone, when no thread uses it."""

    def end(self) -> None:
        """End both directions, from any thread, and leave `close` to the owner. Never raises."""

    def recv_within(self, limit: int, seconds: float) -> bytes:
        """As `recv`; raises TimeoutError."""


class Pump:
    """One client and its stream in the guest. `run` returns when both are closed."""

    def __init__(self, client: Client, guest: Stream) -> None:
        self._client = client
        self._guest = guest
        self.up = 0  # bytes carried to the guest
        self.down = 0  # bytes carried to the client

    def run(self, name: str) -> None:
        """Carry one direction in this thread and the other in a thread called `name`."""
        upward = threading.Thread(target=self._carry_up, name=name, daemon=True)
        upward.start()
        self._carry(self._guest, self._client, self._count_down)
        upward.join()
        self._guest.close()
        self._client.close()

    def end(self) -> None:
        """Cut both directions, from any thread; `run` then returns."""
        self._client.end()
        self._guest.close()

    def _carry_up(self) -> None:
        self._carry(self._client, self._guest, self._count_up)

    def _carry(self, source: Stream, target: Stream, count: Callable[[int], None]) -> None:
        try:
            while data := source.recv(BLOCK):
                target.sendall(data)
                count(len(data))
            target.shutdown_write()
        except OSError:
            self.end()

    def _count_up(self, size: int) -> None:
        self.up += size

    def _count_down(self, size: int) -> None:
        self.down += size
