"""A connection that any thread can end.

One thread receives, another may send; `end` wakes both. `Connection.close` alone would not do: on
POSIX it wakes nobody, and the number it frees may be given to another file while they still use it;
on Windows a read that is under way then writes into memory that is no longer its own (seen).
"""

import contextlib
import os
import socket
import sys
import threading
from multiprocessing.connection import Connection, Pipe, wait


class Line:
    """Has the methods of `Connection` that we and its authentication use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._receiving = threading.Lock()
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self._over = False
        if sys.platform == "win32":
            self._ended, self._end = Pipe(duplex=False)

    def poll(self, timeout: float) -> bool:
        """Whether something, or the end, comes within `timeout` seconds."""
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
        """Say that it is over: whoever receives or sends, now or later, gets an error."""
        with self._ending:
            if self._over:
                return
            self._over = True
            if sys.platform == "win32":
                self._end.send_bytes(b"end")  # the receiver wakes and closes, which ends a send
                return
            with (
                contextlib.suppress(OSError),  # the other side may have been faster
                socket.socket(fileno=os.dup(self._connection.fileno())) as same,
            ):
                same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it and give everything back, once nobody is in it any more. Twice is once."""
        self.end()
        with self._receiving:
            if sys.platform == "win32":
                self._connection.close()
                self._ended.close()
                self._end.close()
                return
            with self._sending:
                self._connection.close()
