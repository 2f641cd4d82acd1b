"""The thread of the resource saver: pauses the machine once it is idle, and suspends it later.

Next: `idle_tracker.py`, which says when; `vm/lifecycle/machine.py`, which does it.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine.lifecycle.auto_suspend import AutoSuspendMarker
from engine.lifecycle.container_cpu import CpuMeter, CpuUseCheck
from engine.lifecycle.idle_tracker import IdleTracker, PauseDue, SuspendDue
from vm.errors import GalleyError

log = logging.getLogger(__name__)


class PausableMachine(Protocol):
    def pause(self, may: Callable[[], bool]) -> bool:
        """`may` is called once the machine is marked paused; it then stays so, or not. Returns
        whether the machine is paused. Raises GalleyError."""


class Suspender(Protocol):
    def auto_suspend(self, check: Callable[[], None]) -> None:
        """Suspend the machine to disk. `check` is called once clients see that it stops; what it
        raises aborts the suspend. Raises GalleyError."""


class TrafficListener(Protocol):
    def is_ready(self) -> bool:
        """Whether a connection to a port of the machine, which is paused, resumes it from now on.
        May take seconds."""


class SaverThread:
    """`on_suspend_aborted` is called after a suspend that has begun and failed."""

    def __init__(
        self,
        *,
        tracker: IdleTracker,
        marker: AutoSuspendMarker,
        machine: PausableMachine,
        cpu: CpuMeter,
        suspender: Suspender,
        traffic: TrafficListener,
        on_suspend_aborted: Callable[[], None],
    ) -> None:
        self._tracker = tracker
        self._marker = marker
        self._machine = machine
        self._cpu = CpuUseCheck(cpu, tracker.now)
        self._suspender = suspender
        self._traffic = traffic
        self._on_suspend_aborted = on_suspend_aborted
        self._thread = threading.Thread(target=self._run, name="resource-saver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Waits until the thread has ended after `IdleTracker.close`, for 5 s at most."""
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (due := self._tracker.wait_until_due()) is not None:
            try:
                if isinstance(due, PauseDue):
                    self._pause(due)
                else:
                    self._suspend(due)
            except (GalleyError, OSError) as error:
                details = error.details if isinstance(error, GalleyError) else ""
                log.warning("cannot pause or suspend the machine: %s %s", error, details)
                self._tracker.restart_idle_time()

    def _pause(self, due: PauseDue) -> None:
        if not self._cpu.are_idle(due.containers):
            self._tracker.restart_idle_time()
            return
        if self._machine.pause(partial(self._may_pause, due, self._tracker.now())):
            log.info("paused after %g s without use", due.pause_after)

    def _may_pause(self, due: PauseDue, checked_at: float) -> bool:
        if any(one.publishes for one in due.containers) and not self._traffic.is_ready():
            return False
        return self._tracker.is_still_idle(due, checked_at)

    def _suspend(self, due: SuspendDue) -> None:
        if not self._tracker.begin_suspend():
            return
        log.info("suspending: paused for %g s", self._tracker.now() - due.paused_at)
        try:
            self._marker.set()
            self._suspender.auto_suspend(partial(self._tracker.check_unused, due.paused_at))
        except (GalleyError, OSError):
            self._tracker.clear_suspend()
            self._on_suspend_aborted()
            raise
        self._tracker.end_suspend()
