"""Dials dockerd in the machine, and reports why that is not possible now.

Clients, the supervisor's own requests and the bridge use `dial`, which resumes the machine first.
`dial_as_it_is` is for requests that must not count as use of the engine. Next: `resource_saver.py`,
`engine/bridge/bridge.py`, `vm/lifecycle/machine.py`.
"""

from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.start_steps import DOCKER_SOCKET, SERVED
from engine.messages.engine import ENGINE_NOT_STARTED, ENGINE_STARTING, ENGINE_STEP_STARTING
from engine.monitors.machine_monitors import MachineMonitors
from vm.errors import EngineUnreachable, MachineBusy, Problem
from vm.guest.protocol import Stream
from vm.lifecycle.machine import Machine
from vm.types import MachineState, Status


class DockerdAccess:
    """Any thread."""

    def __init__(self, machine: Machine, saver: ResourceSaver, monitors: MachineMonitors) -> None:
        self._machine = machine
        self._saver = saver
        self._monitors = monitors

    def dial(self) -> Stream:
        """Resumes the machine. Raises GalleyError, OSError."""
        self._saver.awake()
        return self.dial_as_it_is()

    def dial_as_it_is(self) -> Stream:
        """Whatever state the machine is in. Raises GalleyError, OSError."""
        return self._machine.dial(DOCKER_SOCKET)

    def why_down(self) -> Problem | None:
        """Why a client cannot be served now; None: dockerd can be dialled."""
        status, stalled = self._machine.status, self._monitors.stalled
        if status.state.is_up:
            return stalled[0] if stalled else None
        if status.state is MachineState.STARTING:
            return _why_starting(status)
        if status.problem is not None:
            return status.problem
        return EngineUnreachable(ENGINE_NOT_STARTED, state=status.state).to_problem()


def _why_starting(status: Status) -> Problem | None:
    step = status.boot[-1].text if status.boot else ENGINE_STEP_STARTING.text()
    if step in SERVED:
        return None
    return MachineBusy(ENGINE_STARTING, step=step).to_problem()
