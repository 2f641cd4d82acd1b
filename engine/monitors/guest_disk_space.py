"""Whether the machine's data disk has room, told by the guest.

A full disk is no state of the engine: dockerd and its containers run on, and what they write fails.
The guest says so before it comes to that. Next: `vm/guest/agent.py`, `resources.py`.
"""

import logging
from collections.abc import Callable

from engine.monitors.guest_events import Listener
from vm.errors import DiskFull, GalleyError, Problem
from vm.guest.agent import Keeper
from vm.guest.protocol import Stream
from vm.lifecycle.machine import Machine

log = logging.getLogger(__name__)


class DiskRoom:
    """`follow` from any thread; `on_change` is called from one of its own."""

    def __init__(self, dial: Callable[[str], Stream], on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._listener = Listener("disk-room", Keeper(dial).watch_disk, self._hear)
        self._full: tuple[Problem, ...] = ()
        self._growth: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self._full, *self._growth)

    def follow(self, runs: bool) -> None:
        """Whether there is a disk to be heard of. The same again changes nothing."""
        if self._listener.follow(runs):
            self._full = self._growth = ()

    def grow(self, machine: Machine, disk_bytes: int) -> None:
        """To the size that is wanted now. What is in the way is told until the next attempt."""
        before, self._growth = self._growth, ()
        try:
            machine.grow(disk_bytes)
        except GalleyError as error:
            self._growth = (error.to_problem(),)
        if self._growth != before:
            self._on_change()

    def _hear(self, word: str) -> None:
        """A guest whose disk is full says so at once."""
        problems = (_full().to_problem(),) if word == "full" else ()
        if problems != self._full:
            log.info("the machine's data disk: %s", word)
            self._full = problems
            self._on_change()


def _full() -> DiskFull:
    return DiskFull(
        "The machine's data disk is almost full: pulls, builds and containers may fail.",
        "Delete what is not needed (`galley disk reclaim --prune`), or make the disk larger: "
        "`galley settings set disk`.",
    )
