"""QEMU's control socket: connect, execute a few commands, disconnect.

No state is kept between sessions. QEMU serves one client at a time: threads queue on a lock, other
processes in QEMU's backlog, each until its own deadline. Next: `backend.py`, `hostfwd.py`.

Windows: QEMU can listen on AF_UNIX there, but CPython has no socket.AF_UNIX for it (python/cpython
issue 77589); a Winsock connection would replace only `connect_to`.
"""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from vm.errors import BackendFailed
from vm.host import ownership
from vm.messages.qemu import QEMU_COMMAND_REFUSED, QEMU_NO_ANSWER, QEMU_NOT_QMP

Json = dict[str, object]
DEADLINE = 5.0

_locks: dict[Path, threading.Lock] = {}


class QmpSilent(BackendFailed):
    """No answer on the socket in time: no QEMU, a busy one, or one that has just ended."""


class _Failure(msgspec.Struct):
    desc: str = "no reason given"


class Message(msgspec.Struct):
    """A line from QEMU: a greeting, an answer, an error or an event."""

    QMP: object = None
    event: str | None = None
    data: Json = {}
    error: _Failure | None = None
    result: object = msgspec.field(default=None, name="return")


class Session:
    """An open connection; every call ends before the session's deadline, or raises QmpSilent."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until
        self._received = b""
        self.events: list[str] = []  # received while waiting for an answer, oldest first

    def execute(self, command: str, **arguments: object) -> object:
        """The value that QEMU returns. Raises BackendFailed when it refuses."""
        request = {"execute": command, "arguments": arguments}
        self._send(msgspec.json.encode(request) + b"\n")
        while (answer := self._message()).event is not None:
            self.events.append(answer.event)
        if answer.error is not None:
            raise BackendFailed(
                QEMU_COMMAND_REFUSED,
                command=command,
                reason=answer.error.desc,
                details=msgspec.json.encode(request).decode(),
            )
        return answer.result

    def field(self, command: str, name: str) -> object:
        """One field of the object that `command` returns; None when it is not there."""
        result = self.execute(command)
        return result.get(name) if isinstance(result, dict) else None

    def monitor(self, line: str) -> str:
        """The human monitor's output for `line`. Its errors are text too: the caller parses
        them."""
        return str(self.execute("human-monitor-command", **{"command-line": line})).strip()

    def next_event(self) -> Message:
        """Block until the next event."""
        while (message := self._message()).event is None:
            continue
        return message

    def greet(self) -> None:
        """An event for the previous session may precede the greeting."""
        while (message := self._message()).event is not None:
            continue
        if message.QMP is None:
            raise QmpSilent(QEMU_NOT_QMP)
        self.execute("qmp_capabilities")

    def _message(self) -> Message:
        while b"\n" not in self._received:
            self._received += self._receive()
        line, _, self._received = self._received.partition(b"\n")
        try:
            return msgspec.json.decode(line, type=Message)
        except msgspec.DecodeError as error:
            raise QmpSilent(QEMU_NOT_QMP, details=str(error)) from error

    def _receive(self) -> bytes:
        try:
            self._connection.settimeout(_left(self._until))
            data = self._connection.recv(65536)
        except OSError as error:
            raise _silent(error) from error
        if not data:
            raise _silent(ConnectionResetError("QEMU closed the connection"))
        return data

    def _send(self, data: bytes) -> None:
        try:
            self._connection.settimeout(_left(self._until))
            self._connection.sendall(data)
        except OSError as error:
            raise _silent(error) from error


@contextmanager
def session(path: Path, deadline: float = DEADLINE) -> Iterator[Session]:
    """A greeted session on the socket file, with `deadline` seconds in total. Raises QmpSilent."""
    until = time.monotonic() + deadline
    lock = _locks.setdefault(path, threading.Lock())
    if not lock.acquire(timeout=deadline):
        raise _silent(TimeoutError("other commands are still under way"))
    try:
        with _connected(path, until) as connection:
            opened = Session(connection, until)
            opened.greet()
            yield opened
    finally:
        lock.release()


def connect_to(path: Path, until: float) -> socket.socket:
    """A connection to QEMU's socket file, by `until` (`time.monotonic`). Raises OSError, also where
    another user owns the socket."""
    if sys.platform != "win32":
        ownership.check_folder(path.parent, ownership.OTHERS)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(until))
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        return connection
    raise OSError("this Python has no AF_UNIX")


def _connected(path: Path, until: float) -> socket.socket:
    try:
        return connect_to(path, until)
    except OSError as error:
        raise _silent(error) from error


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _silent(error: OSError) -> QmpSilent:
    return QmpSilent(QEMU_NO_ANSWER, details=str(error))
