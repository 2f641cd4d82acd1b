"""Who stops a machine that stands still, for this computer's disk is full, is told so at once."""

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


class Standing:
    """A machine of which only its end is seen."""

    def __init__(self, home: Home) -> None:
        self.backend = FakeBackend()
        self.directory = MachineDir.of(home)
        self.status = Status(MachineState.RUNNING, "fake")
        self.ended: list[dict[str, Any]] = []

    def stop(self, **how: Any) -> None:
        self.ended.append(how)


def silence() -> Stream:
    raise ConnectionRefusedError


class Stalled:
    def __init__(self, *problems: Problem) -> None:
        self.stalled = problems


class NoFolders:
    bound: frozenset[str] = frozenset()


@pytest.fixture
def machine(home: Home) -> Standing:
    return Standing(home)


def stop_sequence(machine: Standing, home: Home, *stalled: Problem) -> StopSequence:
    return StopSequence(
        machine=cast(Machine, machine),
        settings=SettingsStore(home),
        dial=silence,
        guest_rules=GuestRules(),
        monitors=Stalled(*stalled),
        folders=NoFolders(),
    )


def test_it_is_refused_with_the_way_out(machine: Standing, home: Home) -> None:
    stalled = stop_sequence(machine, home, FULL)
    for verb in (stalled.stop, stalled.suspend, lambda: stalled.auto_suspend(lambda: None)):
        with pytest.raises(DiskFull) as caught:
            verb()
        assert caught.value.summary == FULL.summary
        assert caught.value.hint.startswith(FULL.hint)
        assert "galley stop --cold" in caught.value.hint
    assert machine.ended == [], "it goes on when there is room"


def test_it_is_ended_where_its_user_says_so(machine: Standing, home: Home) -> None:
    stop_sequence(machine, home, FULL).power_off()
    stop_sequence(machine, home).power_off()
    stop_sequence(machine, home).stop()
    assert machine.ended == [{"at_once": True}, {"at_once": False}, {}]


def test_an_engine_that_goes_away_meanwhile_is_told_with_what_waits(
    machine: Standing, home: Home
) -> None:
    """So that a start, which is said to have failed, can be made again."""
    kept = machine.directory.to_start
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text('{"1a": "web", "2b": "db"}')
    for _ in range(2):
        with pytest.raises(EngineUnreachable, match="web, db"):
            stop_sequence(machine, home).start_again(silence)
