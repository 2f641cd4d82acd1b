"""A connection that any thread can end.

One thread receives, another may send; `end` wakes both. `Connection.close` is not enough: on POSIX
it wakes no thread, and the descriptor may be reused while they still use it; on Windows a read in
progress then writes into freed memory (seen).
"""

import contextlib
import os
import socket
import sys
import threading
from multiprocessing.connection import Connection, Pipe, wait

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection

    type LocalConnection = Connection | PipeConnection
else:
    type LocalConnection = Connection


class SharedConnection:
    """Has the methods of `Connection` that we and its authentication use."""

    def __init__(self, connection: LocalConnection) -> None:
        self._connection = connection
        self._receiving = threading.Lock()
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self._over = False
        if sys.platform == "win32":
            self._ended, self._end = Pipe(duplex=False)

    def poll(self, timeout: float) -> bool:
        """Whether data, or the end, arrives within `timeout` seconds."""
        return self._connection.poll(timeout)

    def recv_bytes(self, maxlength: int) -> bytes:
        """The next message. Raises EOFError, OSError, also for a longer one."""
        with self._receiving:
            if sys.platform == "win32" and self._ended in wait([self._connection, self._ended]):
                raise EOFError
            return self._connection.recv_bytes(maxlength)

    def send_bytes(self, data: bytes) -> None:
        """Blocks while the other side takes nothing. Raises OSError."""
        with self._sending:
            self._connection.send_bytes(data)

    def end(self) -> None:
        """End the connection: receiving and sending, now or later, is an error."""
        with self._ending:
            if self._over:
                return
            self._over = True
            if sys.platform == "win32":
                self._end.send_bytes(b"end")  # the receiver wakes and closes, which ends a send
            else:
                with (
                    contextlib.suppress(OSError),  # the other side may have been faster
                    socket.socket(fileno=os.dup(self._connection.fileno())) as same,
                ):
                    same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and release everything once no thread uses it. Idempotent."""
        self.end()
        with self._receiving:
            if sys.platform == "win32":
                self._connection.close()
                self._ended.close()
                self._end.close()
            else:
                with self._sending:
                    self._connection.close()
