"""Keeps the machine's clock with this computer's.

It is set when the machine is reached, when somebody sets either of the two clocks, when this
computer has slept, and every few minutes, for two clocks drift. The guest tells of its own changes
and Linux of the host's, so that nothing polls. May import: `vm.keeper`, `vm.guest`, `vm.errors`,
`vm.host.clock`. Next: `vm/keeper.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable

from vm.errors import GalleyError, GuestUnreachable
from vm.guest import Stream
from vm.host.clock import ClockJumps
from vm.keeper import Keeper, Watch

log = logging.getLogger(__name__)

DRIFT = 300.0  # seconds; in the lab an emulated clock was wrong by 10 ms after as long
KNOCK = 2.0  # seconds between two tries to reach the guest


class GuestClock:
    """`follow` and `set_now` from any thread."""

    def __init__(
        self,
        dial: Callable[[str], Stream],
        jumps: Callable[[], ClockJumps] = ClockJumps,
        drift: float = DRIFT,
    ) -> None:
        self._keeper = Keeper(dial)
        self._jumps = jumps
        self._drift = drift
        self._turn = threading.Lock()
        self._following: _Following | None = None

    def follow(self, runs: bool) -> None:
        """Whether there is a clock to be kept. Returns at once; the same again changes nothing."""
        with self._turn:
            if runs is (self._following is not None):
                return
            ended, self._following = self._following, None
            if runs:
                self._following = _Following(self._keeper, self._jumps(), self._drift)
        if ended is not None:
            ended.end()

    def set_now(self) -> None:
        """For who knows that it is wrong: after a pause or a resume. Raises GalleyError."""
        self._keeper.set_time()


class _Following:
    """Two threads, from here to `end`: one hears of the guest's clock, one of the host's."""

    def __init__(self, keeper: Keeper, jumps: ClockJumps, drift: float) -> None:
        self._keeper = keeper
        self._jumps = jumps
        self._drift = drift
        self._ended = threading.Event()
        self._watch: Watch | None = None
        for work, name in ((self._hear_guest, "clock-guest"), (self._hear_host, "clock-host")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def end(self) -> None:
        """The threads end by themselves."""
        self._ended.set()
        self._jumps.close()
        watch = self._watch
        if watch is not None:
            watch.close()

    def _hear_guest(self) -> None:
        while not self._ended.is_set():
            try:
                self._hear_guest_once()
            except GuestUnreachable:  # it is heard again when it is there again
                self._ended.wait(KNOCK)
            except GalleyError as error:
                log.info("the machine's clock is left alone: %s", error)
                return

    def _hear_guest_once(self) -> None:
        """Set the clock as soon as the next change would be heard of, and again after each."""
        with contextlib.closing(self._keeper.watch_clock()) as watch:
            self._watch = watch
            self._set("")
            while not self._ended.is_set():
                watch.wait()
                self._set("somebody in the machine has set it")

    def _hear_host(self) -> None:
        while not self._ended.is_set():
            jumped = self._jumps.wait(self._drift)
            if not self._ended.is_set():
                self._set("this computer's clock has jumped" if jumped else "")
        self._jumps.free()

    def _set(self, why: str) -> None:
        if why:
            log.info("setting the machine's clock: %s", why)
        try:
            self._keeper.set_time()
        except GalleyError as error:
            log.warning("the machine's clock cannot be set: %s", error)
