"""Connects to the supervisor, and starts it when there is none.

    client = ensure_supervisor(home)     one is running when this returns
    client = connect_only(home)          None when none is running; starts nothing

Launchers hold a lock (`run/launch.lock`), so that the second finds what the first has started. Only
`end_supervisor` ends one. Modules for starting are imported only when needed: most commands find
one running. Next: `engine/control/spawn.py`.
"""

import contextlib
import time

from engine.control.client import ControlClient, NoSupervisor
from engine.messages.engine import SUPERVISOR_DID_NOT_END, SUPERVISOR_LATE_BY
from vm.errors import SupervisorGone
from vm.host.lock import FileLock
from vm.host.paths import Home, make_home

START_SECONDS = 30.0
QUIT_SECONDS = 60.0  # on a busy computer its threads take their time


def connect_only(home: Home) -> ControlClient | None:
    """The running supervisor, or None. Raises VersionMismatch, SupervisorGone (it hangs)."""
    try:
        return ControlClient.connect(home)
    except NoSupervisor:
        return None


def ensure_supervisor(home: Home, *, seconds: float = START_SECONDS) -> ControlClient:
    """The supervisor, started if necessary.

    Raises the error with which it failed to start (SettingsError, HostError), VersionMismatch when
    one of another version runs, SupervisorGone when it does not answer within `seconds`.
    """
    return connect_only(home) or _start(make_home(home), seconds)


def restart_supervisor(home: Home) -> ControlClient:
    """End the running one, of whatever version, and start ours. The VM keeps running."""
    with (
        contextlib.suppress(NoSupervisor),
        ControlClient.connect(home, any_version=True) as old,
    ):
        end_supervisor(old)
    return ensure_supervisor(home)


def _start(home: Home, seconds: float) -> ControlClient:
    from engine.control.spawn import did_not_come_up, spawn

    deadline = time.monotonic() + seconds
    with FileLock(home.run / "launch.lock"):
        while True:
            client = connect_only(home)
            if client is not None:
                return client
            if time.monotonic() > deadline:
                raise did_not_come_up(home, SUPERVISOR_LATE_BY.text(seconds=seconds))
            if spawn(home, deadline).already:
                time.sleep(0.1)  # another one holds the lock: it is ending, or about to answer


def end_supervisor(client: ControlClient) -> None:
    """Ask the process to end, and wait for that; a VM keeps running.

    Raises SupervisorGone when it has not ended within `QUIT_SECONDS`.
    """
    from vm.host.process import identify, wait_gone

    identity = identify(client.hello.pid)
    with contextlib.suppress(SupervisorGone):  # it may be gone before its answer is here
        client.call("quit")
    if identity is not None and not wait_gone(identity, QUIT_SECONDS):
        raise SupervisorGone(
            SUPERVISOR_DID_NOT_END,
            seconds=QUIT_SECONDS,
            pid=identity.pid,
        )
