"""The background process: one per instance, it owns the engine and answers every client.

`python -m engine.supervisor`, started by `launch.py` and by nobody else, lives until it is told to
quit or the session ends; the virtual machine outlives it, and the next supervisor adopts it.

1. Take `run/supervisor.lock`, or report that another one has it and go.
2. Send the log to `logs/supervisor.log`, uncaught exceptions included.
3. Assemble: settings, backend, engine. What fails here is reported to the launcher as a Problem.
4. Open the engine (docker socket bound, a running machine adopted), then the control socket.
5. Report ready, and sleep until a signal or a client says that it is over.
6. Close in the reverse order; the lock goes last.

May import: `vm`, `engine`, except `cli` and `launch`. Next: `engine.py`, `control/server.py`.
"""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from queue import SimpleQueue
from typing import Protocol

from engine import __version__
from engine.control.dispatch import Controlled
from engine.control.protocol import Launched, address, encode
from engine.control.server import ControlServer
from engine.settings import SettingsStore
from vm.errors import GalleyError, Problem
from vm.host.lock import FileLock
from vm.host.logs import start_log
from vm.host.paths import Home, find_home, make_home, write_atomic

log = logging.getLogger(__name__)


class Supervised(Controlled, Protocol):
    """What the supervisor needs of `engine.engine.Engine`."""

    def open(self) -> None: ...
    def close(self) -> None: ...


type Assembly = tuple[Supervised, SettingsStore]


def assemble(home: Home) -> Assembly:
    """The real thing. Raises SettingsError, HostError."""
    from engine.engine import Engine
    from vm.backend import choose

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
    """Whether we are the only one, until the end. Our pid is written down for people's eyes."""
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
    os.chdir(home.root)  # whatever directory we were started in can be unmounted
    over: SimpleQueue[str] = SimpleQueue()
    _end_on_signals(over)
    engine, settings = assembly(home)
    server = ControlServer(home, engine, settings, end=lambda: over.put("a client said quit"))
    with contextlib.ExitStack() as open_parts:
        open_parts.callback(engine.close)
        engine.open()
        server.open()
        open_parts.callback(server.close)
        _report(home)
        log.info("ready")
        log.info("ending: %s", over.get())
    log.info("ended; the virtual machine was left as it is")


def _end_on_signals(over: SimpleQueue[str]) -> None:
    """`put` of a SimpleQueue may be called in a signal handler; Event.set could deadlock there."""
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None:
            signal.signal(number, lambda seen, _: over.put(signal.Signals(seen).name))


def _report(home: Home, *, already: bool = False, problem: Problem | None = None) -> None:
    """Tell the launcher, if one waits for us."""
    with contextlib.suppress(OSError), Client(address(home, "launch")) as launcher:
        launcher.send_bytes(encode(Launched(os.getpid(), already, problem)))


if __name__ == "__main__":
    sys.exit(main())
