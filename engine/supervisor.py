"""The background process: one per instance, it owns the engine and answers every client.

`python -m engine.supervisor`, started by `control/spawn.py`, runs until a client requests its end
or the session ends; the virtual machine outlives it, and the next supervisor adopts it.

1. Take `run/supervisor.lock`, or report that another one has it and go. 2. Send the log to
`logs/supervisor.log`, uncaught exceptions included. 3. Assemble: settings, backend, engine. What
fails here is reported to the launcher as a Problem. 4. Open the engine (docker socket bound, a
running machine adopted), then the control socket. 5. Report ready, and sleep until a signal or a
client requests the end. 6. Close in the reverse order; the lock goes last.

Next: `engine.py`, `control/server.py`.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from typing import Protocol

from engine import __version__
from engine.control.dispatch import Controlled
from engine.control.protocol import Launched, address, encode
from engine.control.server import ControlServer
from engine.settings.store import SettingsStore
from vm.errors import GalleyError, Problem
from vm.host.lock import FileLock
from vm.host.logs import start_log
from vm.host.open_files import allow_many
from vm.host.paths import Home, find_home, make_home, write_atomic

log = logging.getLogger("engine.supervisor")  # __name__ is __main__ here


class Supervised(Controlled, Protocol):
    """What the supervisor needs of `engine.engine.Engine`."""

    def open(self) -> None: ...
    def close(self) -> None: ...


type Assembly = tuple[Supervised, SettingsStore]


def assemble(home: Home) -> Assembly:
    """The real settings, backend and engine. Raises SettingsError, HostError."""
    from engine.engine import Engine
    from vm.backends import choose

    settings = SettingsStore(home)
    backend = choose(settings.load().backend)
    return Engine(home, settings, backend), settings


def main(assembly: Callable[[Home], Assembly] = assemble) -> int:
    """The whole life of a supervisor; returns its exit code."""
    home = None
    try:
        home = make_home(find_home())
        with _single(home) as first:
            if first:
                start_log(home.logs / "supervisor.log")
                _live(home, assembly)
            else:
                _report(home, already=True)
    except GalleyError as error:
        log.error("%s %s", error.summary, error.details)
        sys.stderr.write(f"{error.summary} {error.hint}\n")
        if home is not None:
            _report(home, problem=error.to_problem())
        return 1
    return 0


@contextlib.contextmanager
def _single(home: Home) -> Iterator[bool]:
    """Whether we are the only one, until the end. The pid in the file is only informational."""
    lock = FileLock(home.run / "supervisor.lock")
    if not lock.acquire():
        yield False
        return
    pid_file = home.run / "supervisor.pid"
    try:
        write_atomic(pid_file, f"{os.getpid()}\n".encode())
        yield True
    finally:
        pid_file.unlink(missing_ok=True)
        lock.release()


def _live(home: Home, assembly: Callable[[Home], Assembly]) -> None:
    log.info("Galley %s, pid %d, home %s", __version__, os.getpid(), home.root)
    allow_many()
    os.chdir(home.root)  # whatever directory we were started in can be unmounted
    over = _EndRequest()
    engine, settings = assembly(home)
    server = ControlServer(home, engine, settings, end=over.tell)
    with contextlib.ExitStack() as open_parts:
        open_parts.callback(engine.close)
        engine.open()
        server.open()
        open_parts.callback(server.close)
        _report(home)
        log.info("ready")
        log.info("ending: %s", over.wait())
    log.info("ended; the virtual machine was left as it is")


class _EndRequest:
    """The end of this process, requested by a client or by a signal.

    The system writes a signal's number into a socket: a Python handler would run only once the main
    thread wakes, and a signal just before it sleeps would be lost.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None:
                signal.signal(number, lambda *_: None)

    def tell(self) -> None:
        """A client requests the end."""
        with contextlib.suppress(BlockingIOError):  # enough requests are queued
            self._writer.send(b"\0")

    def wait(self) -> str:
        """Sleep until then; returns the reason."""
        number = self._reader.recv(1)[0]
        return signal.Signals(number).name if number else "a client said quit"


def _report(home: Home, *, already: bool = False, problem: Problem | None = None) -> None:
    """Report to the launcher, if one waits."""
    with contextlib.suppress(OSError), Client(address(home, "launch")) as launcher:
        launcher.send_bytes(encode(Launched(os.getpid(), already, problem)))


if __name__ == "__main__":
    sys.exit(main())
