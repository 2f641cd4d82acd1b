"""A process that forwards ports of this host for as long as another process lives.

So forwards outlive the supervisor, which requests them (`forwarder_client.py`); QEMU is the other
process. The process takes one request at a time on a local socket in a directory that only its user
may enter, keeps nothing on disk, and ends with the other process, or after a minute without a
forward. It uses about 12 MB of memory. Next: `forwarder.py`, which forwards, and
`forwarder_client.py`.

python -m vm.host.forwarder_process DIRECTORY PID STARTED
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Listener
from pathlib import Path

import msgspec

from vm.host import process
from vm.host.forwarder import Address, Forwarder

IDLE = 60.0  # seconds without a forward after which it ends
LIMIT = 64 * 1024  # bytes of a request


class Carried(msgspec.Struct, frozen=True):
    """One forward: connections and datagrams to `here` are forwarded to `there`."""

    protocol: str
    here: Address
    there: Address


class Request(msgspec.Struct, frozen=True):
    """`action`: "open" and "close" `forward`, "list" all, or "end" the process."""

    action: str
    forward: Carried | None = None


class Answer(msgspec.Struct, frozen=True):
    """`errno` and `failure`: of the OSError with which it failed."""

    carried: tuple[Carried, ...] = ()
    errno: int | None = None
    failure: str = ""


def address(directory: Path) -> str:
    """The address of the process for this directory."""
    if os.name == "nt":
        import hashlib  # here, for it takes an eighth of a start

        instance = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        return rf"\\.\pipe\galley-{instance}-forwarder"
    return str(directory / "forwarder.sock")


class Server:
    """`leave` ends the process."""

    def __init__(self, leave: Callable[[], None], idle: float = IDLE) -> None:
        self._leave = leave
        self._idle = idle
        self._forwarder = Forwarder()
        self._lock = threading.Lock()
        self._carried: dict[tuple[str, Address], Carried] = {}
        self._changed = time.monotonic()

    def answer(self, data: bytes) -> bytes:
        """Raises MsgspecError for anything that is not a request."""
        request = msgspec.json.decode(data, type=Request)
        with self._lock:
            try:
                self._do(request)
            except OSError as error:
                return msgspec.json.encode(Answer(errno=error.errno, failure=str(error)))
            return msgspec.json.encode(Answer(tuple(self._carried.values())))

    def watch(self, other: process.Identity) -> None:
        """Call `leave` when the other process has ended, or nothing was forwarded for long
        enough."""
        while True:
            is_gone = process.wait_gone(other, self._idle)
            with self._lock:  # an answer is still true when it is sent
                is_idle = not self._carried and time.monotonic() - self._changed >= self._idle
                if is_gone or is_idle:
                    self._leave()
                    return

    def _do(self, request: Request) -> None:
        forward = request.forward
        if request.action == "end":
            self._forwarder.close_all()
            self._leave()
        if forward is None:
            return
        key = forward.protocol, forward.here
        self._changed = time.monotonic()
        if request.action == "open":
            if self._carried.get(key) != forward:
                self._close(key)
                self._forwarder.open(*key, forward.there)
                self._carried[key] = forward
        elif request.action == "close":
            self._close(key)

    def _close(self, key: tuple[str, Address]) -> None:
        if self._carried.pop(key, None) is not None:
            self._forwarder.close(*key)


def serve(listener: Listener, server: Server) -> None:
    """Answer connections, one after another, without end."""
    while True:
        with (
            contextlib.suppress(OSError, EOFError, msgspec.MsgspecError),  # the client is gone
            listener.accept() as connection,
        ):
            connection.send_bytes(server.answer(connection.recv_bytes(LIMIT)))


def main(directory: Path, other: process.Identity) -> None:
    place = address(directory)

    def leave() -> None:
        if os.name == "posix":
            Path(place).unlink(missing_ok=True)
        os._exit(0)  # the other threads only wait for connections

    if os.name == "posix":
        Path(place).unlink(missing_ok=True)  # left by a process that was killed
    server = Server(leave)
    with Listener(place, backlog=16) as listener:
        threading.Thread(target=server.watch, args=(other,), name="watch", daemon=True).start()
        serve(listener, server)


if __name__ == "__main__":
    main(Path(sys.argv[1]), process.Identity(int(sys.argv[2]), float(sys.argv[3])))
