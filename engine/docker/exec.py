"""A terminal in a container.

`POST /exec/{id}/start` turns its connection into that of the terminal, without framing. Next: the
window's terminal page.

dockerd does not end a program when its terminal is closed, and has no request for it. So each
terminal has a mark in its environment, which its programs inherit, and closing it sends SIGHUP to
those that have the mark.
"""

import contextlib
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from engine.docker.errors import answering
from engine.docker.sdk import docker, requests
from engine.docker.transport import Wire, socket_below
from engine.messages.docker import DOCKER_TERMINAL_ENDED
from vm.errors import EngineError, EngineUnreachable, ObjectConflict, ObjectGone

# A reader that waits with a deadline does not hold the lock of a TLS connection while it waits.
A_LONG_TIME = 20 * 24 * 3600.0
MARK = "GALLEY_TERMINAL"
_HANG_UP = (
    'for each in /proc/[0-9]*; do grep -qs "$0" $each/environ && kill -HUP ${each#/proc/}; done'
)
_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class Pty:
    """One thread reads while another writes, resizes or closes."""

    def __init__(
        self, wire: Wire, exec_id: str, response: requests.Response, hang_up: Callable[[], None]
    ) -> None:
        self._wire = wire
        self._id = exec_id
        self._response = response
        self._hang_up = hang_up
        # The reader has what came together with the head of the answer, the socket has not.
        raw: Any = response.raw
        self._reader = raw._fp.fp
        self._socket = socket_below(response)
        self._socket.settimeout(A_LONG_TIME if isinstance(self._socket, ssl.SSLSocket) else None)
        self._closed = threading.Event()

    def read(self, size: int = 64 * 1024) -> bytes:
        """The next output; blocks until there is some; b"" at the end."""
        try:
            return bytes(self._reader.read1(size))
        except (OSError, ValueError):
            return b""  # it was closed, or the engine went away: either is the end

    def write(self, data: bytes) -> None:
        """Raises EngineUnreachable when the terminal has ended."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise EngineUnreachable(DOCKER_TERMINAL_ENDED, details=str(error)) from error

    def resize(self, columns: int, rows: int) -> None:
        with contextlib.suppress(ObjectConflict, ObjectGone):  # it has just ended
            self._wire.post(f"/exec/{self._id}/resize", w=columns, h=rows)

    def close(self) -> None:
        """Hang up: its programs get SIGHUP, and a blocked `read` returns b""."""
        if self._closed.is_set():
            return
        self._closed.set()
        with contextlib.suppress(EngineError):
            if self.exit_code() is None:
                self._hang_up()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()

    def exit_code(self) -> int | None:
        """None while it runs."""
        return msgspec.json.decode(self._wire.get(f"/exec/{self._id}/json"), type=_Exec).ExitCode


def open_pty(
    api: docker.APIClient,
    container: str,
    argv: tuple[str, ...],
    columns: int,
    rows: int,
    user: str = "",
) -> Pty:
    """`argv` in a new terminal of a running container."""
    wire = Wire(api)
    mark = f"{MARK}={secrets.token_hex(8)}"
    asked = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": True,
        "Cmd": argv,
        "User": user,
        "Env": ["TERM=xterm-256color", mark],
        "ConsoleSize": [rows, columns],
    }
    made = msgspec.json.decode(wire.post(f"/containers/{container}/exec", asked), type=_Made)
    begin = {"Detach": False, "Tty": True, "ConsoleSize": [rows, columns]}
    with answering():
        path = f"/exec/{made.Id}/start"
        response = wire.request("POST", path, {}, begin, headers=_UPGRADE)

    def hang_up() -> None:
        _start_detached(wire, container, ("sh", "-c", _HANG_UP, mark), user)

    return Pty(wire, made.Id, response, hang_up)


def _start_detached(wire: Wire, container: str, argv: tuple[str, ...], user: str) -> None:
    asked = {"Cmd": argv, "User": user}
    made = msgspec.json.decode(wire.post(f"/containers/{container}/exec", asked), type=_Made)
    wire.post(f"/exec/{made.Id}/start", {"Detach": True})


class _Made(msgspec.Struct):
    Id: str


class _Exec(msgspec.Struct):
    ExitCode: int | None = None
