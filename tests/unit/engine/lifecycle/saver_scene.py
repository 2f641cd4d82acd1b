"""A scripted machine and its resource saver, for the saver's tests."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.saver_rules import SaverRules
from engine.ports.published_spec import Container
from vm.errors import BackendFailed, GalleyError
from vm.messages.qemu import QEMU_NO_ANSWER
from vm.types import MachineState, Status

SOON = 0.05  # seconds
NEVER = SaverRules()
RULES = SaverRules(pause_after=SOON)
SUSPENDING = SaverRules(pause_after=SOON, suspend_after=SOON)
LATE = 10.0  # seconds; only a failure waits so long


class Machine:
    """Behaves like `vm.lifecycle.machine.Machine`, with a lock instead of a worker thread."""

    def __init__(self) -> None:
        self.state = MachineState.RUNNING
        self.states: list[MachineState] = []
        self.moved_at: dict[MachineState, float] = {}  # when it last entered a state
        self.on_change: Callable[[MachineState], None]
        self.failures = 0  # how many pauses fail
        self.failure: Exception = BackendFailed(QEMU_NO_ANSWER)
        self.on_adopt: Callable[[], None] | None = None  # called during the adoption
        self.pause_attempts = 0
        self.is_halted = False  # paused, and not only marked paused
        self.operation_lock = threading.Lock()
        self._changed = threading.Condition()

    @property
    def status(self) -> Status:
        return Status(self.state, "fake")

    def pause(self, may: Callable[[], bool]) -> bool:
        with self.operation_lock:
            self.pause_attempts += 1
            if self.failures:
                self.failures -= 1
                raise self.failure
            if self.state is MachineState.RUNNING:
                self.move(MachineState.PAUSED)
                self.is_halted = may()
                if not self.is_halted:
                    self.move(MachineState.RUNNING)
            return self.state is MachineState.PAUSED

    def wake(self) -> None:
        with self.operation_lock:
            if self.state is MachineState.PAUSED:
                self.is_halted = False
                if self.on_adopt is not None:
                    self.move(MachineState.STARTING)
                    self.on_adopt()
                self.move(MachineState.RUNNING)

    def move(self, state: MachineState) -> None:
        with self._changed:
            self.state = state
            self.states.append(state)
            self.moved_at[state] = time.monotonic()
            self._changed.notify_all()
        self.on_change(state)

    def wait_for(self, state: MachineState) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.state is state, LATE)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """`condition` is evaluated at every change of the state."""
        with self._changed:
            assert self._changed.wait_for(condition, LATE)

    def stays(self, state: MachineState, seconds: float = 5 * SOON) -> None:
        """Check that the machine is in `state` and does not leave it for `seconds`."""
        with self._changed:
            assert self.state is state
            before = len(self.states)
            assert not self._changed.wait_for(lambda: len(self.states) > before, seconds)


class Scene:
    """A saver, and all that it works with: the engine, its stop sequence, CPU meter and ports."""

    def __init__(self, marker: Path) -> None:
        self.machine = Machine()
        self.marker = marker
        self.is_busy = False
        self.cpu_readings = 0
        self._cpu = 0.0
        self.suspended = threading.Event()
        self.resumed = 0
        self.before_suspend: Callable[[], object] = lambda: None  # called before it takes the lock
        self.is_traffic_ready = True
        self.ended = 0  # how often an automatic suspend was reported as ended
        self.shown: list[bool] = []  # whether it was shown as saving during a suspend
        self.suspend_failure: Exception | None = None  # of the next suspend only
        self.start_failure: GalleyError | None = None
        self.saver = self.open_another()

    def open_another(self) -> ResourceSaver:
        """Open the saver of the next supervisor."""
        made = ResourceSaver(self.machine, self.marker, self)
        self.machine.on_change = lambda state: made.machine_changed()
        self.saver = made
        made.set_containers([])
        made.open(cpu=self, suspender=self, traffic=self)
        return made

    def wait_until_suspended(self) -> None:
        self.saver.set_rules(SUSPENDING)
        assert self.suspended.wait(LATE)
        self.machine.wait_for(MachineState.STOPPED)

    # --- the stop sequence

    def auto_suspend(self, check: Callable[[], None]) -> None:
        self.before_suspend()
        with self.machine.operation_lock:
            self.machine.is_halted = False
            # A suspend needs a running machine.
            for state in (MachineState.RUNNING, MachineState.STOPPING):
                self.machine.move(state)
                self.shown.append(self.saver.is_saving)
            try:
                check()
                if self.suspend_failure is not None:
                    failure, self.suspend_failure = self.suspend_failure, None
                    raise failure
            except (GalleyError, OSError):
                self.machine.move(MachineState.STARTING)
                self.saver.awake()  # a start's last steps ping dockerd through the bridge
                self.machine.move(MachineState.RUNNING)
                raise
            self.machine.move(MachineState.STOPPED)
        self.suspended.set()

    # --- the engine

    def start(self) -> None:
        if self.start_failure is not None:
            raise self.start_failure
        assert self.machine.operation_lock.acquire(timeout=LATE), (
            "the holder of the lock waits for this start"
        )
        try:
            if self.machine.state is MachineState.STOPPED:
                self.machine.move(MachineState.STARTING)
                self.machine.move(MachineState.RUNNING)
        finally:
            self.machine.operation_lock.release()
        self.saver.clear_suspend()

    def on_resumed(self) -> None:
        assert self.machine.state is MachineState.RUNNING
        self.resumed += 1

    def on_auto_suspend_ended(self) -> None:
        assert not self.saver.is_saving
        self.ended += 1

    # --- CPU meter and ports

    def cpu_seconds(self, containers: Iterable[Container]) -> float:
        assert list(containers)
        self.cpu_readings += 1
        if self.is_busy:
            self._cpu += LATE
        return self._cpu

    def is_ready(self) -> bool:
        return self.is_traffic_ready
