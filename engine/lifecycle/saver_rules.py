"""When the resource saver may pause or suspend the machine, and after how long.

Next: `idle_tracker.py`, which applies the rules.
"""

from collections.abc import Iterable

import msgspec

from engine.ports.published_spec import Container
from engine.settings.store import SettingsStore
from vm.backend import Backend

QUICK_RETURN = 60.0  # seconds; a machine that is used again so soon is suspended later next time
MAX_BACKOFF = 16

type Containers = tuple[Container, ...]


class SaverRules(msgspec.Struct, frozen=True):
    """The user's settings, as far as the machine can follow them. Seconds; 0 is never."""

    pause_after: float = 0
    suspend_after: float = 0
    with_containers: bool = False  # pause also while containers run that use no CPU
    wakes_on_traffic: bool = False  # a connection to a published port resumes a paused machine

    def allow_pause(self, running: Containers | None) -> bool:
        """Whether the running containers allow a pause, without asking them for their CPU use.
        `running` is None while they are not known."""
        if not self.pause_after or running is None:
            return False
        active = unpaused(running)
        if self.with_containers:
            return self.wakes_on_traffic or not any(one.publishes for one in active)
        return not active

    def allow_suspend(self, running: Containers | None) -> bool:
        """A machine with a published UDP port stays in memory: a datagram does not resume a
        suspended one."""
        published = any(one.publishes_udp for one in unpaused(running or ()))
        return self.suspend_after > 0 and not published


class SuspendBackoff:
    """Doubles the time until a suspend each time that the machine is used again within
    QUICK_RETURN seconds of the last one; a longer absence resets it."""

    def __init__(self) -> None:
        self.factor = 1
        self._suspended_at: float | None = None

    def suspended(self, now: float) -> None:
        self._suspended_at = now

    def cleared(self) -> None:
        """The suspend failed, or was undone without use of the engine."""
        self._suspended_at = None

    def resumed(self, now: float) -> None:
        """By use of the engine. Clients that reconnect by themselves, and ask for more than
        events, cannot be told from a user."""
        suspended_at, self._suspended_at = self._suspended_at, None
        if suspended_at is not None:
            is_quick = now - suspended_at < QUICK_RETURN
            self.factor = min(2 * self.factor, MAX_BACKOFF) if is_quick else 1


def rules_of(settings: SettingsStore, backend: Backend) -> SaverRules:
    """The current settings, where the machine can be paused."""
    if backend.pauses is None:
        return SaverRules()
    now = settings.current()
    return SaverRules(
        pause_after=now.save_after,
        suspend_after=now.suspend_after if backend.suspends is not None else 0,
        with_containers=now.save_busy,
        wakes_on_traffic=backend.wakes_on_traffic is not None,
    )


def unpaused(containers: Iterable[Container]) -> Containers:
    return tuple(one for one in containers if one.State != "paused")
