"""The table of the saver's states: its own transitions, and those that follow the machine."""

import pytest

from engine.lifecycle.saver_states import OBSERVED, TRANSITIONS, SaverState, observed
from vm.types import MachineState

S, M = SaverState, MachineState


def test_the_saver_makes_only_these_transitions_itself() -> None:
    assert {(a, b) for a, row in TRANSITIONS.items() for b in row - OBSERVED} == {
        (S.ACTIVE, S.BUSY),
        (S.ACTIVE, S.IDLE),
        (S.BUSY, S.IDLE),
        (S.IDLE, S.BUSY),
        (S.PAUSING, S.PAUSED),
        (S.PAUSED, S.SUSPENDING),
    }


@pytest.mark.parametrize(
    ("state", "machine", "is_marked", "after"),
    [
        (S.OFF, M.RUNNING, False, S.ACTIVE),
        (S.IDLE, M.RUNNING, False, S.IDLE),
        (S.SUSPENDING, M.RUNNING, True, S.SUSPENDING),
        (S.PAUSED, M.RUNNING, False, S.ACTIVE),
        (S.IDLE, M.PAUSED, False, S.PAUSING),
        (S.OFF, M.PAUSED, False, S.PAUSING),
        (S.PAUSED, M.PAUSED, False, S.PAUSED),
        (S.SUSPENDING, M.PAUSED, True, S.SUSPENDING),
        (S.SUSPENDING, M.STOPPING, True, S.SUSPENDED),
        (S.SUSPENDING, M.STOPPING, False, S.OFF),
        (S.OFF, M.STOPPED, True, S.SUSPENDED),
        (S.SUSPENDED, M.STOPPED, False, S.OFF),
        (S.SUSPENDED, M.STARTING, True, S.RESUMING),
        (S.SUSPENDING, M.STARTING, True, S.RESUMING),
        (S.PAUSED, M.STARTING, False, S.RESUMING),
        (S.RESUMING, M.STARTING, False, S.RESUMING),
        (S.OFF, M.STARTING, False, S.OFF),
        (S.RESUMING, M.RUNNING, True, S.ACTIVE),
        (S.RESUMING, M.FAILED, True, S.OFF),
        (S.PAUSED, M.ABSENT, False, S.OFF),
    ],
)
def test_the_state_follows_the_machine(
    state: SaverState, machine: MachineState, is_marked: bool, after: SaverState
) -> None:
    assert observed(state, machine, is_marked) is after
