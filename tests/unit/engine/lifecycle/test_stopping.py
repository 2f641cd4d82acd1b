"""A stop of a machine that is stalled by a full disk of the host fails at once, with a hint."""

from typing import Any, cast

import pytest

from engine.lifecycle.stopping import StopSequence
from engine.ports.guest_rules import GuestRules
from engine.settings.store import SettingsStore
from vm.backends.fake import FakeBackend
from vm.directory import MachineDir
from vm.errors import DiskFull, EngineUnreachable, Problem
from vm.guest.protocol import Stream
from vm.host.paths import Home
from vm.lifecycle.machine import Machine
from vm.messages import Message
from vm.types import MachineState, Status

FULL = DiskFull(Message("", "This computer's disk is full.", "Free some space.")).to_problem()


class RunningMachine:
    """A machine that only records how it is stopped."""

    def __init__(self, home: Home) -> None:
        self.backend = FakeBackend()
        self.directory = MachineDir.of(home)
        self.status = Status(MachineState.RUNNING, "fake")
        self.stops: list[dict[str, Any]] = []

    def stop(self, **how: Any) -> None:
        self.stops.append(how)


def dial_refused() -> Stream:
    raise ConnectionRefusedError


class Stalled:
    def __init__(self, *problems: Problem) -> None:
        self.stalled = problems


class NoFolders:
    bound: frozenset[str] = frozenset()


class SameImage:
    is_waiting = False


@pytest.fixture
def machine(home: Home) -> RunningMachine:
    return RunningMachine(home)


def stop_sequence(machine: RunningMachine, home: Home, *stalled: Problem) -> StopSequence:
    return StopSequence(
        machine=cast(Machine, machine),
        settings=SettingsStore(home),
        dial=dial_refused,
        guest_rules=GuestRules(),
        monitors=Stalled(*stalled),
        folders=NoFolders(),
        image_updates=SameImage(),
    )


def test_stopping_a_stalled_machine_is_refused_with_a_hint(
    machine: RunningMachine, home: Home
) -> None:
    stalled = stop_sequence(machine, home, FULL)
    for verb in (stalled.stop, stalled.suspend, lambda: stalled.auto_suspend(lambda: None)):
        with pytest.raises(DiskFull) as caught:
            verb()
        assert caught.value.summary == FULL.summary
        assert caught.value.hint.startswith(FULL.hint)
        assert "galley stop --cold" in caught.value.hint
    assert machine.stops == [], "the machine continues when there is room"


def test_power_off_stops_a_stalled_machine_at_once(machine: RunningMachine, home: Home) -> None:
    stop_sequence(machine, home, FULL).power_off()
    stop_sequence(machine, home).power_off()
    stop_sequence(machine, home).stop()
    assert machine.stops == [{"at_once": True}, {"at_once": False}, {}]


def test_an_engine_lost_during_a_start_is_reported_with_its_waiting_containers(
    machine: RunningMachine, home: Home
) -> None:
    """So that the failed start can be repeated."""
    kept = machine.directory.to_start
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text('{"1a": "web", "2b": "db"}')
    for _ in range(2):
        with pytest.raises(EngineUnreachable, match="web, db"):
            stop_sequence(machine, home).start_again(dial_refused)
