"""dockerd's log, which is in the guest; `follow_engine` reads it there, without the supervisor.

`engine/cli/logs.py` and the window's Help page show it. Next: `engine/log_files.py`, for the log
files of this computer.
"""

import contextlib
from collections.abc import Callable, Iterator

from engine.log_files import ENGINE_LOG
from engine.messages.engine import ENGINE_NOT_RUNNING
from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.guest.protocol import Guest, SessionGuest
from vm.host.paths import Home


def running_guest(home: Home) -> "Guest":
    """The inside of the running machine. Raises NoMachine."""
    from engine.settings.store import SettingsStore
    from vm.backends import choose
    from vm.types import MachineState

    backend, directory = choose(SettingsStore(home).load().backend), MachineDir.of(home)
    seen = backend.observe(directory)
    if seen.state is not MachineState.RUNNING or seen.address is None:
        raise NoMachine(ENGINE_NOT_RUNNING)
    return backend.guest(directory, seen.address)


def follow_engine(
    home: Home,
    lines: int,
    closing: Callable[[Callable[[], None]], contextlib.AbstractContextManager[None]],
) -> Iterator[bytes]:
    """The last lines of dockerd's log and what it adds, in pieces, until the machine is gone or
    what `closing` was given is called. Raises NoMachine, GuestUnreachable."""
    from engine.client.hold import awake

    with contextlib.ExitStack() as opened:
        with awake(home):  # only until it is open, not while it waits for lines
            guest = opened.enter_context(contextlib.closing(running_guest(home)))
            if not isinstance(guest, SessionGuest):  # a machine that only pretends
                yield guest.run(("tail", "-n", str(lines), ENGINE_LOG)).stdout
                return
            session = guest.session(("tail", "-n", str(lines), "-F", ENGINE_LOG), None)
        with closing(session.close), contextlib.suppress(OSError):
            while data := session.recv(1 << 16):
                yield data
        session.close()
