"""The facts that the checks use, gathered once, and the type of a check."""

from collections.abc import Callable

import msgspec

from engine.settings.schema import Settings
from engine.types import EngineStatus
from vm.backend import Backend
from vm.errors import Problem
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.types import MachineState, Observation


class Facts(msgspec.Struct, frozen=True):
    """The state of this instance at one moment. A missing fact is None, and its error is in
    `failures`."""

    home: Home
    settings: Settings | None = None
    backend: Backend | None = None
    observation: Observation | None = None
    guest: Guest | None = None  # only while the machine runs
    status: EngineStatus | None = None  # only while the supervisor runs
    failures: tuple[Problem, ...] = ()

    @property
    def is_running(self) -> bool:
        return self.observation is not None and self.observation.state is MachineState.RUNNING

    @property
    def was_started(self) -> bool:
        """Whether there has been a start: only then does docker get Galley's context and store."""
        return self.observation is not None and self.observation.state is not MachineState.ABSENT


class Check(msgspec.Struct, frozen=True):
    """One question. It reads facts and the system, changes nothing, and is independent of other
    checks.

    `applies`: whether the question makes sense now. `check`: what is wrong, or None; it may raise
    GalleyError or OSError, which count as what is wrong.
    """

    title: str
    applies: Callable[[Facts], bool]
    check: Callable[[Facts], Problem | None]
