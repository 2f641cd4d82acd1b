"""Keeps the machine's clock in sync with this computer's.

It is set when the machine is reached, when either clock is set, after this computer has slept, and
every few minutes because of drift. The guest reports changes of its clock and Linux those of the
host's, so nothing polls. Next: `guest_events.py`, `vm/guest/agent.py`, `vm/host/clock.py`.
"""

import logging
import threading
from collections.abc import Callable

from engine.monitors.guest_events import GuestEvents
from vm.errors import GalleyError
from vm.guest.agent import GuestAgent
from vm.guest.protocol import Stream
from vm.host.clock import ClockJumps

log = logging.getLogger(__name__)

DRIFT = 300.0  # seconds between two periodic syncs


class GuestClock:
    """`follow` and `set_now` from any thread."""

    def __init__(
        self,
        dial: Callable[[str], Stream],
        jumps: Callable[[], ClockJumps] = ClockJumps,
        drift: float = DRIFT,
    ) -> None:
        self._agent = GuestAgent(dial)
        self._guest = GuestEvents("clock-guest", self._agent.watch_clock, self._on_guest_event)
        self._make_jumps = jumps
        self._drift = drift
        self._jumps: ClockJumps | None = None

    def follow(self, runs: bool) -> None:
        """Keep the clock in sync while the machine runs. Does not block; idempotent."""
        if not self._guest.follow(runs):
            return
        ended, self._jumps = self._jumps, self._make_jumps() if runs else None
        if ended is not None:
            ended.close()
        if self._jumps is not None:
            watch, jumps = self._watch_host, (self._jumps,)
            threading.Thread(target=watch, args=jumps, name="clock-host", daemon=True).start()

    def set_now(self) -> None:
        """Set it now: after a pause or a resume. Raises GalleyError."""
        self._agent.set_time()

    def _on_guest_event(self, word: str) -> None:
        self._set("it was set in the machine" if word else "")

    def _watch_host(self, jumps: ClockJumps) -> None:
        while self._jumps is jumps:
            jumped = jumps.wait(self._drift)
            if self._jumps is jumps:
                self._set("this computer's clock has jumped" if jumped else "")
        jumps.free()

    def _set(self, why: str) -> None:
        if why:
            log.info("setting the machine's clock: %s", why)
        try:
            self._agent.set_time()
        except GalleyError as error:
            log.warning("the machine's clock cannot be set: %s", error)
