"""When an idle machine is paused, and that no request meets a paused one."""

import threading
import time

import pytest

from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.saver_rules import SaverRules
from engine.ports.published_spec import Container, ContainerPort
from tests.unit.engine.lifecycle.saver_scene import LATE, NEVER, RULES, SOON, Machine, Scene
from vm.errors import BackendFailed
from vm.messages import Message
from vm.types import MachineState

WEB = Container("web", State="running", Ports=(ContainerPort(80, "tcp", 8080),))
DATABASE = Container("db", State="running", Ports=(ContainerPort(5432, "tcp"),))
NAMES = Container("dns", State="running", Ports=(ContainerPort(53, "udp", 5353),))
PAUSED = Container("still", State="paused")


def test_an_idle_machine_is_paused_and_resumed_by_use(scene: Scene, machine: Machine) -> None:
    scene.saver.set_rules(RULES)
    for number in range(1, 4):
        machine.wait_for(MachineState.PAUSED)
        scene.saver.awake()
        assert machine.state is MachineState.RUNNING
        scene.saver.awake()
        assert scene.resumed == number


def test_without_rules_nothing_is_paused(saver: ResourceSaver, machine: Machine) -> None:
    machine.stays(MachineState.RUNNING)
    saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    saver.set_rules(NEVER)
    saver.awake()
    machine.stays(MachineState.RUNNING)


def test_active_requests_keep_the_machine_running(saver: ResourceSaver, machine: Machine) -> None:
    saver.begin()
    saver.begin()
    saver.set_rules(RULES)
    machine.stays(MachineState.RUNNING)
    saver.end()
    machine.stays(MachineState.RUNNING)
    began = time.monotonic()
    saver.end()
    machine.wait_for(MachineState.PAUSED)
    assert time.monotonic() - began >= SOON


def test_transferred_bytes_restart_the_idle_time(saver: ResourceSaver, machine: Machine) -> None:
    pause_after = 2.0
    saver.set_rules(SaverRules(pause_after))
    threading.Event().wait(0.2)
    began = time.monotonic()
    saver.moved()
    machine.wait_for(MachineState.PAUSED)
    assert time.monotonic() - began >= pause_after


def test_keep_awake_resumes_the_machine_until_released(
    saver: ResourceSaver, machine: Machine
) -> None:
    saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    release = saver.keep_awake()
    machine.stays(MachineState.RUNNING)
    release()
    machine.wait_for(MachineState.PAUSED)


def test_running_containers_keep_the_machine_running(
    saver: ResourceSaver, machine: Machine
) -> None:
    saver.set_containers([DATABASE, PAUSED])
    saver.set_rules(RULES)
    machine.stays(MachineState.RUNNING)
    saver.set_containers([PAUSED])
    machine.wait_for(MachineState.PAUSED)


def test_nothing_is_paused_while_containers_are_unknown(
    saver: ResourceSaver, machine: Machine
) -> None:
    saver.set_containers(None)
    saver.set_rules(RULES)
    machine.stays(MachineState.RUNNING)
    saver.set_containers([])
    machine.wait_for(MachineState.PAUSED)


def test_idle_containers_are_paused_where_the_rules_say_so(scene: Scene, machine: Machine) -> None:
    scene.saver.set_containers([WEB])
    scene.saver.set_rules(SaverRules(SOON, with_containers=True))
    machine.stays(MachineState.RUNNING)
    assert machine.pause_attempts == 0, "a container with a published port expects requests"
    scene.saver.set_containers([DATABASE])
    machine.wait_for(MachineState.PAUSED)


def test_published_ports_allow_a_pause_where_traffic_resumes_the_machine(
    scene: Scene, machine: Machine
) -> None:
    scene.is_traffic_ready = False
    scene.saver.set_containers([WEB])
    scene.saver.set_rules(SaverRules(SOON, SOON, with_containers=True, wakes_on_traffic=True))
    machine.wait_until(lambda: machine.states.count(MachineState.PAUSED) >= 3)
    assert MachineState.STOPPED not in machine.states, "no pause lasted"
    scene.is_traffic_ready = True
    machine.wait_for(MachineState.STOPPED)


def test_a_published_udp_port_prevents_a_suspend(scene: Scene, machine: Machine) -> None:
    """A datagram resumes a paused machine, but not a suspended one."""
    scene.saver.set_containers([NAMES])
    scene.saver.set_rules(SaverRules(SOON, SOON, with_containers=True, wakes_on_traffic=True))
    machine.wait_for(MachineState.PAUSED)
    machine.stays(MachineState.PAUSED)


def test_containers_that_use_cpu_are_not_paused(scene: Scene, machine: Machine) -> None:
    scene.saver.set_containers([DATABASE])
    scene.is_busy = True
    scene.saver.set_rules(SaverRules(SOON, with_containers=True))
    machine.stays(MachineState.RUNNING, 10 * SOON)
    assert scene.cpu_readings >= 2
    scene.is_busy = False
    machine.wait_for(MachineState.PAUSED)


@pytest.mark.parametrize(
    "failure", [BackendFailed(Message("", "QEMU is silent.")), OSError(5, "EIO")]
)
def test_a_failed_pause_is_retried(
    saver: ResourceSaver, machine: Machine, failure: Exception
) -> None:
    machine.failures, machine.failure = 2, failure
    began = time.monotonic()
    saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    assert machine.pause_attempts == 3
    assert time.monotonic() - began >= 2 * SOON, "the retry is not immediate"


@pytest.mark.parametrize("state", [MachineState.STOPPED, MachineState.STARTING])
def test_only_a_running_machine_is_paused(
    saver: ResourceSaver, machine: Machine, state: MachineState
) -> None:
    machine.move(state)
    saver.set_rules(RULES)
    machine.stays(state)
    saver.awake()
    assert machine.state is state
    machine.move(MachineState.RUNNING)  # its containers were reported during the start
    machine.wait_for(MachineState.PAUSED)


def test_no_request_meets_a_paused_machine(saver: ResourceSaver, machine: Machine) -> None:
    """Many clients send short requests at any time, and each finds the machine running."""
    saver.set_rules(SaverRules(0.001))
    met_paused: list[bool] = []
    pauses = threading.Event()

    def request() -> None:
        for _ in range(100):
            pauses.wait(0.002)
            saver.begin()
            saver.awake()
            met_paused.append(machine.is_halted)
            saver.end()

    clients = [threading.Thread(target=request) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert machine.states.count(MachineState.PAUSED) > 5
    assert not any(met_paused)


def test_requests_that_only_look_do_not_prevent_a_pause(scene: Scene, machine: Machine) -> None:
    """A window that shows figures, for example, sends several requests within `pause_after`."""
    scene.saver.set_rules(RULES)
    tick = threading.Event()
    until = time.monotonic() + LATE
    while not machine.pause_attempts and time.monotonic() < until:
        scene.saver.awake(uses=False)
        tick.wait(SOON / 10)
    assert machine.pause_attempts, "no pause was attempted"


def test_a_closed_saver_has_no_thread(scene: Scene, machine: Machine) -> None:
    scene.saver.set_rules(SaverRules(LATE))
    scene.saver.close()
    assert "resource-saver" not in [one.name for one in threading.enumerate()]
    machine.stays(MachineState.RUNNING, SOON)


def test_a_saver_that_was_never_opened_can_be_closed(scene: Scene, machine: Machine) -> None:
    ResourceSaver(machine, scene.marker, scene).close()
    assert machine.state is MachineState.RUNNING
