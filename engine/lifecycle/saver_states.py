"""The states of the resource saver, and which machine state leads to which of them.

| state      | the machine             | a client's request | the saver moves on to             |
|------------|-------------------------|--------------------|-----------------------------------|
| OFF        | off, starting, stopping | changes nothing    |                                   |
| ACTIVE     | running                 | goes through       | BUSY or IDLE, if the rules allow  |
| BUSY       | running                 | goes through       | IDLE, when the last request ends  |
| IDLE       | running                 | restarts the time  | BUSY, ACTIVE                      |
| PAUSING    | marked as paused        | resumes            | PAUSED, if no request came        |
| PAUSED     | paused                  | resumes            | SUSPENDING, after a time          |
| SUSPENDING | up, to be suspended     | aborts it          |                                   |
| SUSPENDED  | stopping or stopped     | starts             |                                   |
| RESUMING   | starting                | waits at the gate  |                                   |

All other changes follow the machine, whatever moved it: `observed` says to which state. The two
kinds together are `TRANSITIONS`, which is checked at import. Next: `idle_tracker.py`, the only
place that moves through these states.
"""

from enum import StrEnum
from itertools import product

from vm.types import MachineState


class SaverState(StrEnum):
    OFF = "off"  # the machine does not run, and a request does not start it
    ACTIVE = "active"  # a container or a rule keeps the machine running
    BUSY = "busy"  # an active request keeps the machine running
    IDLE = "idle"  # the idle time counts
    PAUSING = "pausing"  # the machine is marked paused, and late requests are looked for
    PAUSED = "paused"
    SUSPENDING = "suspending"  # the machine is still up
    SUSPENDED = "suspended"  # on disk, or on its way there: the next use resumes it
    RESUMING = "resuming"  # starting from PAUSED or SUSPENDED


S = SaverState
RUNNING = frozenset({S.ACTIVE, S.BUSY, S.IDLE})
OBSERVED = frozenset({S.OFF, S.ACTIVE, S.PAUSING, S.SUSPENDED, S.RESUMING})

TRANSITIONS: dict[SaverState, frozenset[SaverState]] = {
    S.OFF: OBSERVED,
    S.ACTIVE: OBSERVED | {S.BUSY, S.IDLE},
    S.BUSY: OBSERVED | {S.IDLE},
    S.IDLE: OBSERVED | {S.BUSY},
    S.PAUSING: OBSERVED | {S.PAUSED},
    S.PAUSED: OBSERVED | {S.SUSPENDING},
    S.SUSPENDING: OBSERVED,
    S.SUSPENDED: OBSERVED,
    S.RESUMING: OBSERVED,
}


def observed(state: SaverState, machine: MachineState, is_marked: bool) -> SaverState:
    """The saver's state after `state`, given the machine's. `is_marked`: the marker file of an
    automatic suspend exists."""
    match machine:
        case MachineState.RUNNING:
            return state if state in RUNNING or state is S.SUSPENDING else S.ACTIVE
        case MachineState.PAUSED:
            return state if state in (S.PAUSING, S.PAUSED, S.SUSPENDING) else S.PAUSING
        case MachineState.STOPPING | MachineState.STOPPED:
            return S.SUSPENDED if is_marked else S.OFF
        case MachineState.STARTING:
            resumes = is_marked or state in (S.PAUSING, S.PAUSED, S.RESUMING)
            return S.RESUMING if resumes else S.OFF
        case _:
            return S.OFF


if set(TRANSITIONS) != set(SaverState):
    raise AssertionError("every state needs its row in TRANSITIONS")
for before, machine, is_marked in product(SaverState, MachineState, (False, True)):
    if observed(before, machine, is_marked) not in TRANSITIONS[before] | {before}:
        raise AssertionError(f"no transition from {before} when the machine is {machine}")
