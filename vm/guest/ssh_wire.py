"""Faster replacements for paramiko's socket reads and channel buffers.

`Wire` is the socket under a transport: one system call reads many packets. `Inbox` is the receive
buffer of a channel: it passes chunks on as they came. Both have only the methods that paramiko
calls. Next: `ssh.py`, which installs them.
"""

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections import deque

from vm.host.poll import Wait, readable

log = logging.getLogger(__name__)

READ_AHEAD = 256 * 1024
GREETING = 1024 * 1024  # bytes until we are logged in; sshd says a few KiB
SMALL = 4 * 1024  # bytes of a chunk to which the next is added: each costs memory of its own
HEADER = 16  # what paramiko reads first of every packet
# More than ROW packets of LARGE bytes are a stream, until a small one comes: no question waits for
# its answer. Then TOGETHER bytes are awaited, but not longer than GATHERING milliseconds.
LARGE, ROW = 4 * 1024, 8
TOGETHER, GATHERING = 128 * 1024, 20


class Wire:
    """A TCP connection as paramiko wants its sockets, reading ahead.

    paramiko asks for 16 bytes, then for the rest of a packet: two system calls for every packet,
    and two more where the socket has a timeout. A virtual network brings a packet in pieces of
    1.4 KiB, and each would wake us. Waking up is what a stream costs: it takes nearly half of the
    CPU away to await a few packets of it at once. Only the transport's thread receives.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._ahead = memoryview(bytearray(READ_AHEAD))
        self._at = self._end = 0
        self._readable: Wait | None = None
        self._awaited = 1
        self._row = 0  # large packets since the last small one
        self._is_greeted = False
        self._greeting_left = GREETING
        self._closed = False  # paramiko reads this name when it stops its thread
        self.heard = time.monotonic()  # when the other side last said anything

    def recv(self, limit: int) -> bytes:
        if limit != HEADER:
            self._row = self._row + 1 if limit >= LARGE else 0
        if self._at == self._end:
            if self._readable is not None:
                self._await(limit, self._readable)
            self._end = self._connection.recv_into(self._ahead)
            self._at = 0
            if not self._is_greeted:
                self._count(self._end)
            self.heard = time.monotonic()
        end = min(self._at + limit, self._end)
        data = bytes(self._ahead[self._at : end])
        self._at = end
        return data

    def _count(self, size: int) -> None:
        """paramiko has no limit for a banner, nor for data before the login."""
        self._greeting_left -= size
        if self._greeting_left < 0:
            raise too_much("it greets without end")

    def wait_for_all(self) -> None:
        """From now on `recv` blocks without a timeout until all of `limit` has arrived: after the
        greeting paramiko asks for exactly what it needs."""
        self._is_greeted = True
        self._connection.settimeout(None)
        if sys.platform == "linux":
            self._readable = readable(self._connection.fileno())

    def _await(self, limit: int, wait: Wait) -> None:
        """Wait until `limit` bytes have arrived. By poll, which reads nothing: a blocking recv
        would read the first part at once, and then be woken only when the rest alone reaches the
        low-water mark."""
        if self._row > ROW:
            self._mark(TOGETHER)
            if wait(GATHERING):
                return
        self._mark(limit)
        wait(None)

    def _mark(self, limit: int) -> None:
        if limit != self._awaited:
            self._awaited = limit
            enough = min(limit, READ_AHEAD // 2)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, enough)

    def send(self, data: bytes) -> int:
        return self._connection.send(data)

    def settimeout(self, seconds: float | None) -> None:
        self._connection.settimeout(seconds)

    def close(self) -> None:
        """Also ends a `recv` that blocks in another thread."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Inbox:
    """Replaces paramiko's BufferedPipe, which shifts its whole content on every read, and accepts
    more than the channel's window."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._held = 0
        self._changed = threading.Condition(threading.Lock())
        self._chunks: deque[bytes] = deque()
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Raises OSError when the guest exceeds its window, which ends the connection."""
        with self._changed:
            self._held += len(data)
            if self._held > self._window:
                raise too_much(f"more than {self._window} bytes came on a channel unasked")
            if self._chunks and len(self._chunks[-1]) < SMALL:
                self._chunks[-1] += data
            elif data:
                self._chunks.append(data)
            self._changed.notify()

    def read(self, limit: int, timeout: float | None = None) -> bytes:
        """Up to `limit` bytes of what has arrived; b"" at the end."""
        with self._changed:
            while not self._chunks:
                if self._closed:
                    return b""
                if not self._changed.wait(timeout):
                    raise TimeoutError
            taken = self._take(limit)
            self._held -= len(taken)
            return taken

    def _take(self, limit: int) -> bytes:
        taken = [self._chunks.popleft()]
        size = len(taken[0])
        while self._chunks and size + len(self._chunks[0]) <= limit:
            taken.append(self._chunks.popleft())
            size += len(taken[-1])
        if size > limit:  # only ever the first chunk, alone
            self._chunks.appendleft(taken[0][limit:])
            return taken[0][:limit]
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def too_much(what: str) -> OSError:
    """With a number, which paramiko expects."""
    log.warning("the guest broke ssh's protocol, and the connection is cut: %s", what)
    return ConnectionAbortedError(errno.ECONNABORTED, what)
