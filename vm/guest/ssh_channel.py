"""A channel of the agent stream as the socket under paramiko.

It has the methods that paramiko calls, and no more. Next: `ssh_wire.py`, its sibling for TCP.
"""

import errno
import time
from typing import Protocol

from vm.guest.protocol import Stream
from vm.guest.ssh_wire import GREETING, READ_AHEAD, too_much


class TimedStream(Stream, Protocol):
    def recv(self, limit: int, timeout: float | None = None) -> bytes:
        """As in `Stream`. Raises TimeoutError after `timeout` seconds without data."""


class ChannelWire:
    """Reads ahead, as `ssh_wire.Wire` does. Only the transport's thread receives."""

    def __init__(self, channel: TimedStream) -> None:
        self._channel = channel
        self._ahead = memoryview(b"")
        self._timeout: float | None = None
        self._greeting_left: float = GREETING
        self._closed = False  # paramiko reads this name when it stops its thread
        self.heard = time.monotonic()  # when the other side last said anything

    def recv(self, limit: int) -> bytes:
        if not self._ahead:
            self._ahead = memoryview(self._read())
        data = bytes(self._ahead[:limit])
        self._ahead = self._ahead[limit:]
        return data

    def _read(self) -> bytes:
        try:
            data = self._channel.recv(READ_AHEAD, self._timeout)
        except TimeoutError:
            raise
        except OSError as error:
            raise _numbered(error) from error
        self.heard = time.monotonic()
        self._greeting_left -= len(data)
        if self._greeting_left < 0:
            raise too_much("it greets without end")
        return data

    def wait_for_all(self) -> None:
        """The login is over: from now on `recv` blocks without a timeout."""
        self._greeting_left = float("inf")
        self._timeout = None

    def send(self, data: bytes) -> int:
        try:
            self._channel.sendall(data)
        except OSError as error:
            raise _numbered(error) from error
        return len(data)

    def settimeout(self, seconds: float | None) -> None:
        """Of `recv`; a `send` waits as long as the window is full."""
        self._timeout = seconds

    def close(self) -> None:
        """Ends a `recv` that blocks in another thread."""
        self._closed = True
        self._channel.close()


def _numbered(error: OSError) -> OSError:
    """paramiko expects a number with each."""
    return ConnectionResetError(error.errno or errno.ECONNRESET, str(error))
