"""Keeps the machine awake for somebody who reaches into it without the supervisor's help.

Who uses the docker socket does not need it: the bridge wakes the machine. Next:
`engine/lifecycle/resource_saver.py`, `engine/control/session.py`.
"""

import contextlib
from collections.abc import Iterator

from engine.control.client import ControlClient, NobodyListens
from vm.errors import VersionMismatch
from vm.host.paths import Home


@contextlib.contextmanager
def awake(home: Home) -> Iterator[None]:
    """A machine that is paused or put away is woken, and none is paused until the end. Without a
    supervisor of ours that goes unless it is so already; one is started only to wake it. Raises
    GalleyError.
    """
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
    except (NobodyListens, VersionMismatch):
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
