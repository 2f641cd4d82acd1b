"""Pauses and suspends an engine that is not used, and resumes it when it is.

`ResourceSaver` is what the bridge and the engine call. Its state machine is described in
`saver_states.py` and kept by `idle_tracker.py`; `saver_thread.py` pauses and suspends the machine,
and the request that needs the machine resumes it, in `awake`. A marker file (`auto_suspend.py`)
says that the next use resumes a suspended machine, also under the next supervisor; a machine that
its user has stopped has none. Next: `docs/dev/resource-saver.md`, `saver_states.py`,
`vm/lifecycle/machine.py`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from engine.lifecycle.auto_suspend import AutoSuspendMarker
from engine.lifecycle.container_cpu import CpuMeter
from engine.lifecycle.idle_tracker import IdleTracker, ObservedMachine
from engine.lifecycle.saver_rules import SaverRules
from engine.lifecycle.saver_states import SaverState
from engine.lifecycle.saver_thread import PausableMachine, SaverThread, Suspender, TrafficListener
from engine.ports.published_spec import Container
from vm.errors import GalleyError
from vm.types import MachineState


class SaverMachine(ObservedMachine, PausableMachine, Protocol):
    """What the saver needs of `vm.lifecycle.machine.Machine`."""

    def wake(self) -> None: ...


class SavedEngine(Protocol):
    """What the saver needs of its engine. Called without a lock held."""

    def start(self) -> None:
        """Start the suspended machine. Raises GalleyError."""

    def on_resumed(self) -> None:
        """The paused machine runs again; the request that resumed it waits for this."""

    def on_auto_suspend_ended(self) -> None:
        """`is_saving` became false, though the machine's state may not change."""


class ResourceSaver:
    """An `engine.bridge.activity.ActivityMonitor`. Any thread. `marker` is the path of the marker
    file. Pauses nothing without `set_rules` and `open`."""

    def __init__(self, machine: SaverMachine, marker: Path, engine: SavedEngine) -> None:
        self._machine = machine
        self._marker = AutoSuspendMarker(marker)
        self._engine = engine
        self._tracker = IdleTracker(machine, self._marker)
        self._thread: SaverThread | None = None

    def open(self, *, cpu: CpuMeter, suspender: Suspender, traffic: TrafficListener) -> None:
        """Starts the thread. Call it once the machine's state has been observed."""
        if self._machine.status.state is not MachineState.STOPPED:
            self.clear_suspend()  # a supervisor that was suspending the machine has died
        self._thread = SaverThread(
            tracker=self._tracker,
            marker=self._marker,
            machine=self._machine,
            cpu=cpu,
            suspender=suspender,
            traffic=traffic,
            on_suspend_aborted=self._engine.on_auto_suspend_ended,
        )
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; a paused machine stays paused."""
        self._tracker.close()
        if self._thread is not None:
            self._thread.join()

    @property
    def state(self) -> SaverState:
        return self._tracker.state

    @property
    def is_saving(self) -> bool:
        """Suspended or about to be, also while the machine runs for a moment to be suspended."""
        return self.state in (SaverState.SUSPENDING, SaverState.SUSPENDED)

    # --- what clients do (`engine.bridge.activity.ActivityMonitor`) ---------------------------

    def awake(self, uses: bool = True) -> None:
        state = self._tracker.note_request(uses)
        if state is SaverState.SUSPENDING and self._machine.status.state is MachineState.PAUSED:
            state = SaverState.PAUSED
        if state in (SaverState.PAUSING, SaverState.PAUSED):
            self._machine.wake()
            self._engine.on_resumed()
        elif state in (SaverState.SUSPENDING, SaverState.SUSPENDED):
            self._tracker.note_return()
            self._engine.start()

    def begin(self) -> None:
        self._tracker.begin()

    def end(self) -> None:
        self._tracker.end()

    def moved(self) -> None:
        self._tracker.restart_idle_time()

    def keep_awake(self) -> Callable[[], None]:
        """Resumes the machine, which is not paused until the returned function is called, once.
        Raises GalleyError."""
        self.begin()
        try:
            self.awake()
        except GalleyError:
            self.end()
            raise
        return self.end

    # --- clients that can wait (`engine.bridge.deferred.SuspendGate`) -------------------------

    def is_suspended(self) -> bool:
        return self._tracker.is_suspended()

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Returns when the machine is back, or is not going to be resumed."""
        self._tracker.wait_while_suspended(until)

    def notify(self) -> None:
        self._tracker.notify()

    def cached_ping_headers(self) -> bytes:
        return self._marker.ping_headers()

    # --- what the engine reports --------------------------------------------------------------

    def machine_changed(self) -> None:
        """The machine's status has changed."""
        self._tracker.machine_changed()

    def set_containers(self, running: Sequence[Container] | None) -> None:
        """The running containers, at every change; None while the engine does not answer."""
        self._tracker.set_containers(running)

    def set_rules(self, rules: SaverRules) -> None:
        self._tracker.set_rules(rules)

    def clear_suspend(self) -> None:
        """The machine is back, or its user stops it: its next use no longer starts it."""
        if self._tracker.clear_suspend():
            self._engine.on_auto_suspend_ended()

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Around a stop by the user, which overrides an automatic suspend that is under way."""
        self.clear_suspend()
        try:
            yield
        finally:
            self.clear_suspend()

    @contextlib.contextmanager
    def suspended_meanwhile(self) -> Iterator[None]:
        """Around work that suspends the machine and resumes it. Clients wait meanwhile; should the
        supervisor die, the next use resumes the machine."""
        self._marker.set()
        try:
            yield
        finally:
            if self.state is not SaverState.SUSPENDED:
                self.clear_suspend()
