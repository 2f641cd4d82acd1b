"""What Galley and its parts have written: which files, the end of one, and what came since.

May import: `vm`, `engine.settings`. `cli/logs.py` and the window's Help page show it. The engine's
log is in the machine: `follow_engine` reads it there, without the supervisor's help.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.guest import Guest, SessionGuest
from vm.host.paths import Home

LONGEST = 4 << 20  # bytes that are looked at for the last lines
ENGINE_LOG = "/var/log/dockerd.log"  # in the guest

type Place = tuple[int, int]  # a file's inode and how far it has been read
NOWHERE: Place = (0, 0)


def log_file(home: Home, component: str) -> Path:
    """`component`: "supervisor", "vm" (its console) or "backend" (the program that runs it)."""
    directory = MachineDir.of(home)
    files = {"vm": directory.console_log, "backend": directory.backend_log}
    return files.get(component, home.logs / f"{component}.log")


def read_on(path: Path, place: Place | None) -> tuple[bytes, Place]:
    """What came since `place` (None: the end of what is there), and where that ends. A file that
    was replaced, or emptied, is read from its beginning."""
    try:
        with open(path, "rb") as file:
            seen = os.fstat(file.fileno())
            if place is None:
                start = max(0, seen.st_size - LONGEST)
            else:
                same = place[0] == seen.st_ino and place[1] <= seen.st_size
                start = place[1] if same else 0
            file.seek(start)
            data = file.read()
            return data, (seen.st_ino, start + len(data))
    except FileNotFoundError:
        return b"", place or NOWHERE


def running_guest(home: Home) -> "Guest":
    """The inside of the running machine. Raises NoMachine."""
    from engine.settings import SettingsStore
    from vm.backend import choose
    from vm.types import MachineState

    backend, directory = choose(SettingsStore(home).load().backend), MachineDir.of(home)
    seen = backend.observe(directory)
    if seen.state is not MachineState.RUNNING or seen.address is None:
        raise NoMachine("The engine is not running.", "Start it with `galley start`.")
    return backend.guest(directory, seen.address)


def follow_engine(
    home: Home,
    lines: int,
    closing: Callable[[Callable[[], None]], contextlib.AbstractContextManager[None]],
) -> Iterator[bytes]:
    """The last lines of dockerd's log and what it adds, in pieces, until the machine is gone or
    what `closing` was given is called. Raises NoMachine, GuestUnreachable."""
    from engine.awake import awake

    with contextlib.ExitStack() as opened:
        with awake(home):  # only until it is open: what waits for a line keeps nothing awake
            guest = opened.enter_context(contextlib.closing(running_guest(home)))
            if not isinstance(guest, SessionGuest):  # a machine that only pretends
                yield guest.run(("tail", "-n", str(lines), ENGINE_LOG)).stdout
                return
            session = guest.session(("tail", "-n", str(lines), "-F", ENGINE_LOG), None)
        with closing(session.close), contextlib.suppress(OSError):
            while data := session.recv(1 << 16):
                yield data
        session.close()
