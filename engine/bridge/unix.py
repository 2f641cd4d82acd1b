"""The docker socket as a Unix socket file. Linux and macOS only; elsewhere opening or connecting
one raises OSError, for Python has no AF_UNIX on Windows. Next: `bridge.py`.

The file appears in one step, already private and already listening: it is bound under another name
and renamed. It replaces a stale socket, never a living one and never something else.
"""

import contextlib
import os
import secrets
import socket
import stat
import sys
from pathlib import Path

from engine.messages.engine import BRIDGE_NOT_A_SOCKET, BRIDGE_SOCKET_TAKEN
from vm.errors import HomeUnusable, MachineBusy
from vm.host import ownership
from vm.host.lock import FileLock
from vm.host.paths import unusable
from vm.host.poll import readable

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

    def send_now(self, data: bytes) -> int:
        if sys.platform != "win32":  # there, `recv` would not block either
            with contextlib.suppress(BlockingIOError):
                return self._connection.send(data, socket.MSG_DONTWAIT)
        return 0

    def shutdown_write(self) -> None:
        self._connection.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._connection.close()


def connect(path: Path, *, own: bool = False) -> SocketStream:
    """A client's connection to a socket file; `own` as for `dial`. Raises OSError."""
    return SocketStream(dial(path, own=own))


def dial(path: Path, timeout: float | None = None, *, own: bool = False) -> socket.socket:
    """The bare socket, for a library that needs one. `timeout`: seconds, None for none. `own`: it
    is in a directory of Galley's. Raises OSError, PermissionError where another user may have put
    an `own` one there."""
    if own:
        ownership.check_folder(path.parent, ownership.OTHERS)
    connection = _new()
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


class UnixListener:
    """From `open` to `close` the socket file is there and takes connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        self._inode = 0
        self._sockets: tuple[socket.socket, ...] = ()  # listening, waking, woken

    def open(self) -> None:
        """Raises MachineBusy when the socket is served, HomeUnusable when it cannot be made."""
        try:
            if not self._lock.acquire() or _is_served(self._path):
                raise MachineBusy(
                    BRIDGE_SOCKET_TAKEN,
                    path=self._path,
                )
            self._sockets = (self._bind(), *socket.socketpair())
        except OSError as error:
            raise unusable(self._path.parent, error) from error
        finally:
            if not self._sockets:
                self._lock.release()

    def accept(self) -> SocketStream:
        """Blocks for the next client. Raises ConnectionAbortedError once woken, OSError."""
        listening, _, woken = self._sockets
        wait = readable(listening.fileno(), woken.fileno())
        if woken.fileno() in dict(wait(None)):
            raise ConnectionAbortedError("the listener is being closed")
        return SocketStream(listening.accept()[0])

    def wake(self) -> None:
        """Let `accept`, in its thread, raise ConnectionAbortedError from now on."""
        for waking in self._sockets[1:2]:
            waking.send(b"x")

    def close(self) -> None:
        """Call it when no thread accepts any more. Removes the file, unless it is a successor's."""
        sockets, self._sockets = self._sockets, ()
        if sockets:
            with contextlib.suppress(OSError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
        for one in sockets:
            one.close()
        self._lock.release()

    def _bind(self) -> socket.socket:
        hidden = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        listening = _new()
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


def _new() -> socket.socket:
    """Raises OSError."""
    if sys.platform != "win32":
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    raise OSError("this Python has no AF_UNIX")


def _is_served(path: Path) -> bool:
    """Whether a program listens there. Raises HomeUnusable when it is no socket."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(kind):
        raise HomeUnusable(BRIDGE_NOT_A_SOCKET, path=path)
    try:
        connect(path).close()
    except ConnectionRefusedError:
        return False
    return True
