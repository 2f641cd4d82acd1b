"""The state machine of the resource saver: everything that changes in it, under one lock.

Idle means: no container runs (or all of them are paused, or use no CPU where the rules ask for
that), and no client of the docker socket has an active request, for as long as the rules say.
Nothing polls: the saver's thread sleeps until the earliest moment at which the machine can be idle,
which each byte postpones, or until something changes.

No request is lost between a client and a pause. The machine is marked paused first, and then the
time of the last request is checked (`is_still_idle`, `check_unused`); a client records its request
first, and then looks at the machine's state (`note_request`). Whichever runs second sees the other.
Next: `saver_states.py` (the table), `saver_thread.py`, `resource_saver.py`.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from engine.lifecycle.auto_suspend import AutoSuspendMarker
from engine.lifecycle.saver_rules import Containers, SaverRules, SuspendBackoff
from engine.lifecycle.saver_states import RUNNING, TRANSITIONS, SaverState, observed
from engine.messages.engine import ENGINE_IN_USE
from engine.ports.published_spec import Container
from vm.errors import MachineBusy
from vm.types import Status


class ObservedMachine(Protocol):
    @property
    def status(self) -> Status: ...


class PauseDue(msgspec.Struct, frozen=True):
    """The machine has been idle for `pause_after` seconds, with these containers running."""

    pause_after: float
    containers: Containers


class SuspendDue(msgspec.Struct, frozen=True):
    """The machine has been paused long enough, since `paused_at` on the tracker's clock."""

    paused_at: float


class IdleTracker:
    """Times are seconds on `clock`. Any thread; `wait_until_due` for one only."""

    def __init__(
        self,
        machine: ObservedMachine,
        marker: AutoSuspendMarker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._marker = marker
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._state = SaverState.OFF
        self._rules = SaverRules()
        self._containers: Containers | None = None  # that run; None: not known
        self._active_requests = 0
        self._last_use = clock()  # or the last other restart of the idle time
        self._last_request = 0.0  # also of requests that are no use
        self._paused_at = 0.0
        self._backoff = SuspendBackoff()
        self._is_closed = False

    @property
    def state(self) -> SaverState:
        with self._changed:
            return self._observe()

    def close(self) -> None:
        """Ends `wait_until_due`."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    # --- clients ----------------------------------------------------------------------------

    def note_request(self, uses: bool) -> SaverState:
        """The state that the request meets. `uses`: it restarts the idle time."""
        with self._changed:
            self._last_request = self._clock()
            if uses:
                self._last_use = self._last_request
            return self._observe()

    def note_return(self) -> None:
        """A request resumes the suspended machine."""
        with self._changed:
            self._backoff.resumed(self._clock())

    def begin(self) -> None:
        with self._changed:
            self._active_requests += 1

    def end(self) -> None:
        with self._changed:
            self._active_requests -= 1
            self._last_use = self._clock()
            if self._active_requests == 0 and self._state is SaverState.BUSY:
                self._changed.notify_all()

    def restart_idle_time(self) -> None:
        with self._changed:
            self._last_use = self._clock()

    def wait_while_suspended(self, until: Callable[[], bool]) -> None:
        """Returns when the machine is back or stays stopped, or `until` is true. `until` is
        evaluated again after `notify`; it must not call the tracker."""
        with self._changed:
            self._changed.wait_for(lambda: until() or not self._is_suspended())

    def is_suspended(self) -> bool:
        """Requests have to wait: SUSPENDED or RESUMING."""
        with self._changed:
            return self._is_suspended()

    def notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- what the engine reports ------------------------------------------------------------

    def machine_changed(self) -> None:
        """The machine's status has changed."""
        with self._changed:
            if self._observe() in (SaverState.PAUSING, SaverState.PAUSED):
                self._paused_at = self._clock()
            else:
                self._last_use = self._clock()
            self._changed.notify_all()

    def set_containers(self, running: Sequence[Container] | None) -> None:
        with self._changed:
            self._containers = None if running is None else tuple(running)
            self._last_use = self._clock()
            self._changed.notify_all()

    def set_rules(self, rules: SaverRules) -> None:
        with self._changed:
            self._rules = rules
            self._changed.notify_all()

    def clear_suspend(self) -> bool:
        """From now on a request no longer starts the machine. Returns whether one did so far."""
        with self._changed:
            was_suspended = self._observe() is SaverState.SUSPENDED
            self._marker.clear()
            self._backoff.cleared()
            self._leave(SaverState.SUSPENDING, SaverState.RESUMING)
            self._changed.notify_all()
            return was_suspended

    # --- the saver's thread -----------------------------------------------------------------

    def now(self) -> float:
        return self._clock()

    def seconds_until_due(self) -> float | None:
        """How long `wait_until_due` blocks, as things are; None: until a change."""
        with self._changed:
            return self._delay()

    def wait_until_due(self) -> PauseDue | SuspendDue | None:
        """Returns what is to be done now; None after `close`."""
        with self._changed:
            while not self._is_closed:
                delay = self._delay()
                if delay is not None and delay <= 0:
                    return self._due()
                self._changed.wait(delay)
            return None

    def is_still_idle(self, due: PauseDue, checked_at: float) -> bool:
        """Whether the machine, now marked paused, can stay so: no request since `checked_at`."""
        with self._changed:
            idle_for = self._clock() - self._last_use
            is_same = self._containers is due.containers and self._last_request < checked_at
            return is_same and self._active_requests == 0 and idle_for >= due.pause_after

    def begin_suspend(self) -> bool:
        """False if the machine is no longer paused. Call `end_suspend` or `clear_suspend` later."""
        with self._changed:
            if self._observe() is not SaverState.PAUSED:
                return False
            self._paused_at = self._clock()  # the next try comes later, should this one fail
            self._move(SaverState.SUSPENDING)
            return True

    def check_unused(self, since: float) -> None:
        """Raises MachineBusy if a request has come since then, or is active."""
        with self._changed:
            if self._active_requests > 0 or self._last_request >= since:
                raise MachineBusy(ENGINE_IN_USE)

    def end_suspend(self) -> None:
        """The machine has been suspended."""
        with self._changed:
            self._leave(SaverState.SUSPENDING)

    # --- under the lock ---------------------------------------------------------------------

    def _move(self, state: SaverState) -> SaverState:
        """The only place that changes the state."""
        if state is not self._state and state not in TRANSITIONS[self._state]:
            raise AssertionError(f"no transition from {self._state} to {state}")
        if state is SaverState.SUSPENDED and self._state is SaverState.SUSPENDING:
            self._backoff.suspended(self._clock())
        self._state = state
        return state

    def _observe(self) -> SaverState:
        machine = self._machine.status.state
        is_marked = not machine.is_up and self._marker.exists()
        return self._move(observed(self._state, machine, is_marked))

    def _leave(self, *states: SaverState) -> None:
        """End a transition of the saver: the machine's state alone decides the next state."""
        if self._observe() in states:
            self._move(SaverState.OFF)
            self._observe()

    def _is_suspended(self) -> bool:
        return self._observe() in (SaverState.SUSPENDED, SaverState.RESUMING)

    def _delay(self) -> float | None:
        """Seconds until something is due; None: not before a change."""
        state, rules = self._observe(), self._rules
        if state in RUNNING:
            state = self._move(self._running_state())
        elif state is SaverState.PAUSING:  # this thread does not pause it any more
            state = self._move(SaverState.PAUSED)
        if state is SaverState.IDLE:
            return self._last_use + rules.pause_after - self._clock()
        if state is SaverState.PAUSED and rules.allow_suspend(self._containers):
            suspend_at = self._paused_at + self._backoff.factor * rules.suspend_after
            return suspend_at - self._clock()
        return None

    def _running_state(self) -> SaverState:
        if not self._rules.allow_pause(self._containers):
            return SaverState.ACTIVE
        return SaverState.BUSY if self._active_requests else SaverState.IDLE

    def _due(self) -> PauseDue | SuspendDue:
        if self._state is SaverState.IDLE:
            return PauseDue(self._rules.pause_after, self._containers or ())
        return SuspendDue(self._paused_at)
