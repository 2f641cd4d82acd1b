"""A machine and its saver, as the tests of the saver have them."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.lifecycle.resource_saver import Rules, Saver
from engine.ports.published_spec import Container
from vm.errors import BackendFailed, GalleyError
from vm.types import MachineState, Status

SOON = 0.05  # seconds
NEVER = Rules(0, 0, False)
RULES = Rules(SOON, 0, False)
LATE = 10.0  # seconds; only a failure waits so long


class Machine:
    """As `vm.lifecycle.machine.Machine` does it, with one turn instead of a worker."""

    def __init__(self) -> None:
        self.state = MachineState.RUNNING
        self.states: list[MachineState] = []
        self.moved: dict[MachineState, float] = {}  # when it last did
        self.on_change: Callable[[MachineState], None]
        self.failures = 0
        self.failure: Exception = BackendFailed("QEMU does not answer on its control socket.")
        self.adopts: Callable[[], None] | None = None  # what happens meanwhile
        self.tries = 0
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
                if not may():
                    self.move(MachineState.RUNNING)
            return self.state is MachineState.PAUSED

    def wake(self) -> None:
        with self.turn:
            if self.state is MachineState.PAUSED:
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

    def stays(self, state: MachineState, seconds: float = 5 * SOON) -> None:
        with self._changed:
            assert not self._changed.wait_for(lambda: self.state is not state, seconds)


class Scene:
    def __init__(self, auto_suspended: Path) -> None:
        self.machine = Machine()
        self.auto_suspended = auto_suspended
        self.is_busy = False
        self.looks = 0
        self._cpu = 0.0
        self.suspended = threading.Event()
        self.woken = 0
        self.before_suspend: Callable[[], object] = lambda: None  # just before its turn
        self.hears_ports = True
        self.kept = 0  # how often it was told that it stays where it is
        self.shown: list[bool] = []  # whether it was said to save, as it was suspended
        self.refuses: Exception | None = None  # to be suspended
        self.saver = self.another()
        self.saver.containers(())
        self.saver.open()

    def another(self) -> Saver:
        """As the next supervisor has it."""
        made = Saver(
            *(self.machine, self._cpu_seconds, self.auto_suspended, self._suspend, self._start),
            woken=self._count,
            kept=self._count_kept,
            hears_ports=lambda: self.hears_ports,
        )
        self.machine.on_change = made.follow
        return made

    def auto_suspend(self) -> None:
        self.saver.set_rules(Rules(SOON, SOON, False))
        assert self.suspended.wait(LATE)
        self.machine.wait_for(MachineState.STOPPED)

    def _suspend(self, check: Callable[[], None]) -> None:
        self.before_suspend()
        with self.machine.turn:
            for state in (MachineState.RUNNING, MachineState.STOPPING):  # it is not asked asleep
                self.machine.move(state)
                self.shown.append(self.saver.is_saving)
            try:
                check()
                if self.refuses:
                    refusal, self.refuses = self.refuses, None
                    raise refusal
            except (GalleyError, OSError):
                self.machine.move(MachineState.RUNNING)
                raise
            self.machine.move(MachineState.STOPPED)
        self.suspended.set()

    def _start(self) -> None:
        with self.machine.turn:
            if self.machine.state is MachineState.STOPPED:
                self.machine.move(MachineState.STARTING)
                self.machine.move(MachineState.RUNNING)
        self.saver.forget()

    def _count(self) -> None:
        assert self.machine.state is MachineState.RUNNING
        self.woken += 1

    def _count_kept(self) -> None:
        assert not self.saver.is_saving
        self.kept += 1

    def _cpu_seconds(self, containers: Sequence[Container]) -> float:
        assert containers
        self.looks += 1
        if self.is_busy:
            self._cpu += LATE
        return self._cpu
