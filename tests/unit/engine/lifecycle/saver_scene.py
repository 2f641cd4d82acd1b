"""A machine and its saver, as the tests of the saver have them."""

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
    """As `vm.lifecycle.machine.Machine` does it, with one turn instead of a worker."""

    def __init__(self) -> None:
        self.state = MachineState.RUNNING
        self.states: list[MachineState] = []
        self.moved: dict[MachineState, float] = {}  # when it last did
        self.on_change: Callable[[MachineState], None]
        self.failures = 0
        self.failure: Exception = BackendFailed(QEMU_NO_ANSWER)
        self.adopts: Callable[[], None] | None = None  # what happens meanwhile
        self.tries = 0
        self.is_halted = False  # paused, and not only marked so
        self.turn = threading.Lock()
        self._changed = threading.Condition()

    @property
    def status(self) -> Status:
        return Status(self.state, "fake")

    def pause(self, may: Callable[[], bool]) -> bool:
        with self.turn:
            self.tries += 1
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
        with self.turn:
            if self.state is MachineState.PAUSED:
                self.is_halted = False
                if self.adopts is not None:
                    self.move(MachineState.STARTING)
                    self.adopts()
                self.move(MachineState.RUNNING)

    def move(self, state: MachineState) -> None:
        with self._changed:
            self.state = state
            self.states.append(state)
            self.moved[state] = time.monotonic()
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
        """It is in this state, and leaves it for no moment."""
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
        self.before_suspend: Callable[[], object] = lambda: None  # just before its turn
        self.hears_traffic = True
        self.ended = 0  # how often an automatic suspend was reported as ended
        self.shown: list[bool] = []  # whether it was shown as saving, while it was suspended
        self.refusal: Exception | None = None  # to suspend, once
        self.start_failure: GalleyError | None = None
        self.saver = self.open_another()

    def open_another(self) -> ResourceSaver:
        """The saver of the next supervisor."""
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
        with self.machine.turn:
            self.machine.is_halted = False
            for state in (MachineState.RUNNING, MachineState.STOPPING):  # it has to run for that
                self.machine.move(state)
                self.shown.append(self.saver.is_saving)
            try:
                check()
                if self.refusal is not None:
                    refusal, self.refusal = self.refusal, None
                    raise refusal
            except (GalleyError, OSError):
                self.machine.move(MachineState.STARTING)
                self.saver.awake()  # its last steps ping dockerd through the bridge
                self.machine.move(MachineState.RUNNING)
                raise
            self.machine.move(MachineState.STOPPED)
        self.suspended.set()

    # --- the engine

    def start(self) -> None:
        if self.start_failure is not None:
            raise self.start_failure
        assert self.machine.turn.acquire(timeout=LATE), "who holds the turn waits for this"
        try:
            if self.machine.state is MachineState.STOPPED:
                self.machine.move(MachineState.STARTING)
                self.machine.move(MachineState.RUNNING)
        finally:
            self.machine.turn.release()
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
        return self.hears_traffic
