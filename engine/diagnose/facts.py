"""What the checks look at, gathered once.

A check reads facts and the world, changes nothing, and knows nothing of other checks.
"""

from typing import Protocol

import msgspec

from engine.settings.store import Settings
from engine.types import EngineStatus
from vm.backend import Backend
from vm.errors import Problem
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.types import MachineState, Observation


class Facts(msgspec.Struct, frozen=True):
    """One moment of this instance. What could not be had is None, and `failures` says why."""

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


class Check(Protocol):
    """What a file of this folder is, as a module."""

    TITLE: str

    def applies(self, facts: Facts, /) -> bool:
        """Whether the question makes sense now."""

    def check(self, facts: Facts, /) -> Problem | None:
        """What is wrong, or None. May raise GalleyError, which counts as what is wrong."""
