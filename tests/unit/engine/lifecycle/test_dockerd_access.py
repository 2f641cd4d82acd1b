"""Whether dockerd can be dialled in each state of the machine, and that a dial resumes it."""

from typing import Any, cast

import pytest

from engine.lifecycle.dockerd_access import DockerdAccess
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.start_steps import ANSWERING, DOCKER_SOCKET, STARTING_AGAIN
from engine.messages.engine import ENGINE_DOES_NOT_START
from engine.monitors.machine_monitors import MachineMonitors
from vm.errors import DiskFull, EngineFailed, GuestUnreachable, Problem
from vm.lifecycle.machine import Machine
from vm.lifecycle.steps import boot_step
from vm.messages import Message, Text
from vm.types import MachineState, Status

FULL = DiskFull(Message("", "This computer's disk is full.", "Free some space.")).to_problem()
FAILED = EngineFailed(ENGINE_DOES_NOT_START).to_problem()


class Scene:
    """A machine, its saver and its monitors. `calls`: the calls that they got, in order."""

    def __init__(self) -> None:
        self.status = Status(MachineState.RUNNING, "fake")
        self.stalled: tuple[Problem, ...] = ()
        self.calls: list[str] = []
        self.access = DockerdAccess(
            cast(Machine, self), cast(ResourceSaver, self), cast(MachineMonitors, self)
        )

    def awake(self) -> None:
        self.calls.append("awake")

    def dial(self, socket_path: str) -> Any:
        self.calls.append(socket_path)
        raise GuestUnreachable(Message("", "It is away."))

    def starting(self, *steps: Text) -> Problem | None:
        boot = tuple(map(boot_step, steps))
        self.status = Status(MachineState.STARTING, "fake", boot=boot)
        return self.access.why_down()


@pytest.mark.parametrize("state", [MachineState.RUNNING, MachineState.PAUSED])
def test_a_running_machine_can_be_dialled_unless_it_is_stalled(state: MachineState) -> None:
    scene = Scene()
    scene.status = Status(state, "fake")
    assert scene.access.why_down() is None
    scene.stalled = (FULL,)
    assert scene.access.why_down() == FULL


def test_a_starting_machine_can_be_dialled_from_the_ping_step_on() -> None:
    scene = Scene()
    containerd = Text("Starting containerd")
    for steps, named in (((), "starting"), ((containerd,), "Starting containerd")):
        problem = scene.starting(*steps)
        assert problem is not None
        assert problem.summary == f"Galley's engine is starting ({named})."
    assert scene.starting(containerd, ANSWERING) is None
    assert scene.starting(ANSWERING, STARTING_AGAIN) is None


def test_a_stopped_machine_reports_its_problem() -> None:
    scene = Scene()
    scene.status = Status(MachineState.STOPPED, "fake", problem=FAILED)
    assert scene.access.why_down() == FAILED
    scene.status = Status(MachineState.STOPPED, "fake")
    problem = scene.access.why_down()
    assert problem is not None
    assert (problem.summary, problem.hint) == (
        "Galley's engine is stopped.", "Start it with `galley start`."
    )  # fmt: skip


def test_dial_resumes_the_machine_and_dial_as_it_is_does_not() -> None:
    scene = Scene()
    with pytest.raises(GuestUnreachable):
        scene.access.dial()
    with pytest.raises(GuestUnreachable):
        scene.access.dial_as_it_is()
    assert scene.calls == ["awake", DOCKER_SOCKET, DOCKER_SOCKET]
