"""Reports a data disk that is almost full, from the guest's events.

With a full disk dockerd and its containers keep running, but their writes fail. The guest reports
it before that happens. Next: `vm/guest/agent.py`, `resources.py`.
"""

import logging
from collections.abc import Callable

from engine.messages.guest import GUEST_DISK_ALMOST_FULL
from engine.monitors.guest_events import GuestEvents
from vm.errors import DiskFull, GalleyError, Problem
from vm.guest.agent import GuestAgent
from vm.guest.protocol import Stream
from vm.lifecycle.machine import Machine

log = logging.getLogger(__name__)


class GuestDiskSpace:
    """`on_change` is called from another thread. Any thread."""

    def __init__(self, dial: Callable[[str], Stream], on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._listener = GuestEvents(
            "guest-disk-space", GuestAgent(dial).watch_disk, self._on_event
        )
        self._full: tuple[Problem, ...] = ()
        self._growth: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self._full, *self._growth)

    def follow(self, runs: bool) -> None:
        """Follow the guest's events while the machine runs. Idempotent."""
        if self._listener.follow(runs):
            self._full = self._growth = ()

    def grow(self, machine: Machine, disk_bytes: int) -> None:
        """Grow the data disk. A failure is a problem until the next attempt."""
        before, self._growth = self._growth, ()
        try:
            machine.grow(disk_bytes)
        except GalleyError as error:
            self._growth = (error.to_problem(),)
        if self._growth != before:
            self._on_change()

    def _on_event(self, word: str) -> None:
        """ "full" comes at once where the disk is full already."""
        problems = (_full().to_problem(),) if word == "full" else ()
        if problems != self._full:
            log.info("the machine's data disk: %s", word)
            self._full = problems
            self._on_change()


def _full() -> DiskFull:
    return DiskFull(
        GUEST_DISK_ALMOST_FULL,
    )
