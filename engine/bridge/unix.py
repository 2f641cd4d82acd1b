"""The docker socket as a Unix socket file. The only place with AF_UNIX; `pipe.py` will be the same
for Windows. May import: `vm.host`, `vm.errors`. Next: `bridge.py`.

The file appears in one step, already private and already listening: it is bound under another name
and renamed. It replaces a stale socket, never a living one and never something else.
"""

import contextlib
import os
import secrets
import selectors
import socket
import stat
from pathlib import Path

from vm.errors import HomeUnusable, MachineBusy
from vm.host.lock import FileLock
from vm.host.paths import unusable

BACKLOG = 1024


class SocketStream:
    """A connection, as `pump.Client`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def recv(self, limit: int) -> bytes:
        return self._connection.recv(limit)

    def recv_within(self, limit: int, seconds: float) -> bytes:
        self._connection.settimeout(max(0.001, seconds))
        try:
            return self._connection.recv(limit)
        finally:
            self._connection.settimeout(None)

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)

    def shutdown_write(self) -> None:
        self._connection.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._connection.close()


def connect(path: Path) -> SocketStream:
    """A client's connection to a socket file. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return SocketStream(connection)


class UnixListener:
    """From `open` to `close` the socket file is there and takes connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        self._socket: socket.socket | None = None
        self._inode = 0
        self._wake, self._waker = socket.socketpair()
        self._ready = selectors.DefaultSelector()

    def open(self) -> None:
        """Raises MachineBusy when the socket is served, HomeUnusable when it cannot be made."""
        try:
            if not self._lock.acquire() or _is_served(self._path):
                raise MachineBusy(
                    f"The socket {self._path} is already served by another program.",
                    "Use that one, or set GALLEY_HOME to another directory.",
                )
            self._socket = self._bind()
        except OSError as error:
            raise unusable(self._path.parent, error) from error
        finally:
            if self._socket is None:
                self._lock.release()
        self._ready.register(self._socket, selectors.EVENT_READ)
        self._ready.register(self._wake, selectors.EVENT_READ)

    def accept(self) -> SocketStream:
        """Blocks for the next client. Raises ConnectionAbortedError once closed, OSError."""
        ready = [key.fileobj for key, _ in self._ready.select()]
        if self._socket is None or self._wake in ready:
            raise ConnectionAbortedError("the listener is closed")
        return SocketStream(self._socket.accept()[0])

    def wake(self) -> None:
        """Let `accept`, in its thread, raise ConnectionAbortedError from now on."""
        with contextlib.suppress(OSError):
            self._waker.send(b"x")

    def close(self) -> None:
        """When no thread accepts any more."""
        listening, self._socket = self._socket, None
        if listening is not None:
            with contextlib.suppress(OSError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            listening.close()
        self._ready.close()
        self._wake.close()
        self._waker.close()
        self._lock.release()

    def _bind(self) -> socket.socket:
        hidden = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(hidden))
            hidden.chmod(0o600)
            listening.listen(BACKLOG)
            self._inode = hidden.stat().st_ino
            os.rename(hidden, self._path)
        except OSError:
            listening.close()
            hidden.unlink(missing_ok=True)
            raise
        return listening


def _is_served(path: Path) -> bool:
    """Whether somebody listens there. Raises HomeUnusable when it is something else."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(kind):
        raise HomeUnusable(f"{path} is not a socket.", "Move it away; Galley does not remove it.")
    try:
        connect(path).close()
    except ConnectionRefusedError:
        return False
    return True
