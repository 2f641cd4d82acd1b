"""Keeps the machine awake for a client that connects to the guest directly.

Clients of the docker socket do not need it: the bridge wakes the machine. Next:
`engine/lifecycle/resource_saver.py`, `engine/control/session.py`.
"""

import contextlib
from collections.abc import Iterator

from engine.control.client import ControlClient, NoSupervisor
from vm.errors import VersionMismatch
from vm.host.paths import Home


@contextlib.contextmanager
def awake(home: Home) -> Iterator[None]:
    """Resume a paused or auto-suspended machine, and prevent both until the end of the context.
    Without a running supervisor, one is started only if the machine must be resumed. Raises
    GalleyError."""
    client = _supervisor(home)
    if client is None:
        yield
        return
    with client:
        client.call("keep_awake")
        yield


def _supervisor(home: Home) -> ControlClient | None:
    try:
        return ControlClient.connect(home)
    except (NoSupervisor, VersionMismatch):
        return _waker(home)


def _waker(home: Home) -> ControlClient | None:
    from engine.client.launch import ensure_supervisor
    from engine.settings.store import SettingsStore
    from vm.backends import choose
    from vm.directory import MachineDir
    from vm.types import MachineState

    directory = MachineDir.of(home)
    state = choose(SettingsStore(home).load().backend).observe(directory).state
    is_away = state is MachineState.STOPPED and directory.auto_suspended.exists()
    return ensure_supervisor(home) if is_away or state is MachineState.PAUSED else None
