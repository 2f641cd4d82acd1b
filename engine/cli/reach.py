"""How commands reach the supervisor, the machine, and programs in it.

No heavy import at the top, for every command uses this.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.control.client import ControlClient, NoSupervisor
from engine.messages.cli import MACHINE_PRETENDS
from engine.types import EngineStatus
from vm.directory import MachineDir
from vm.errors import MachineError
from vm.guest.protocol import Guest, SessionGuest
from vm.host.paths import Home, find_home, make_home
from vm.types import Observation

if TYPE_CHECKING:
    from vm.backend import Backend


def supervisor() -> ControlClient:
    """A connection to the supervisor, which is started when there is none."""
    from engine.client.launch import ensure_supervisor

    return ensure_supervisor(make_home(find_home()))


def running_supervisor() -> ControlClient | None:
    """The one that runs, or None. Not by `engine.client.launch`, which takes longer to load."""
    try:
        return ControlClient.connect(find_home())
    except NoSupervisor:
        return None


def status() -> EngineStatus | None:
    """The supervisor's status, None when none runs."""
    client = running_supervisor()
    if client is None:
        return None
    with client:
        return client.status()


def chosen_backend(home: Home) -> "Backend":
    """The one that the settings name. Raises its problem where it cannot be used."""
    from engine.settings.store import SettingsStore
    from vm.backends import choose

    return choose(SettingsStore(home).load().backend)


def observe() -> Observation:
    """The machine as the backend sees it, without the supervisor's help."""
    home = find_home()
    return chosen_backend(home).observe(MachineDir.of(home))


def running_guest() -> "Guest":
    """The inside of the running machine, without the supervisor's help. Raises NoMachine."""
    from engine.client.logs import running_guest as guest_of

    return guest_of(find_home())


def run_in_guest(
    argv: tuple[str, ...] | None,
    *,
    feed: bool = True,
    shown: Callable[[], Callable[[bytes], bytes]] = lambda: bytes,
) -> int:
    """A program in the machine (None: a login shell) at our terminal or pipes; its exit code.
    `shown` makes what each of its outputs goes through."""
    from engine.client.hold import awake

    with awake(find_home()):
        guest = running_guest()
        from vm.guest import (
            terminal,  # only now: paramiko takes longer to load than most commands to run
        )

        if not isinstance(guest, SessionGuest):
            raise MachineError(MACHINE_PRETENDS)
        pty = feed and terminal.is_interactive()
        term = os.environ.get("TERM", "xterm-256color")
        try:
            session = guest.session(argv, terminal.size() if pty else None, term)
            return terminal.attach(session, pty=pty, feed=feed, shown=shown)
        finally:
            guest.close()
