"""When a machine is paused, and that nobody is ever left with one that is."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.lifecycle import saver_rules
from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.saver_rules import SaverRules
from engine.lifecycle.saver_states import SaverState
from engine.ports.published_spec import Container, ContainerPort
from tests.unit.engine.lifecycle.saver_scene import LATE, NEVER, RULES, SOON, Machine, Scene
from vm.errors import BackendFailed
from vm.types import MachineState

WEB = Container("web", State="running", Ports=(ContainerPort(80, "tcp", 8080),))
DATABASE = Container("db", State="running", Ports=(ContainerPort(5432, "tcp"),))
NAMES = Container("dns", State="running", Ports=(ContainerPort(53, "udp", 5353),))
PAUSED = Container("still", State="paused")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "put-away")
    yield made
    made.saver.close()


@pytest.fixture
def machine(scene: Scene) -> Machine:
    return scene.machine


@pytest.fixture
def saver(scene: Scene) -> ResourceSaver:
    return scene.saver


def test_an_idle_machine_is_paused_and_woken_by_use(scene: Scene, machine: Machine) -> None:
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


def test_what_is_at_work_is_not_paused(saver: ResourceSaver, machine: Machine) -> None:
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


def test_bytes_put_it_off(saver: ResourceSaver, machine: Machine) -> None:
    """Unless they come too late, which this test may cause where this computer is busy."""
    saver.moved()
    saver.set_rules(RULES)
    tick, latest, came = threading.Event(), 0.0, time.monotonic()
    until = came + 5 * SOON
    while machine.state is MachineState.RUNNING and came < until:
        tick.wait(SOON / 10)
        saver.moved()
        latest, came = max(latest, time.monotonic() - came), time.monotonic()
    assert machine.state is MachineState.RUNNING or latest > SOON / 2
    machine.wait_for(MachineState.PAUSED)


def test_a_hold_wakes_and_keeps_it_awake(saver: ResourceSaver, machine: Machine) -> None:
    saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    release = saver.keep_awake()
    machine.stays(MachineState.RUNNING)
    release()
    machine.wait_for(MachineState.PAUSED)


def test_a_hold_on_what_cannot_start_is_none(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    scene.start_failure = BackendFailed("QEMU ended.")
    with pytest.raises(BackendFailed):
        scene.saver.keep_awake()
    scene.start_failure = None
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING
    machine.wait_for(MachineState.PAUSED)


def test_a_container_that_runs_keeps_it_awake(saver: ResourceSaver, machine: Machine) -> None:
    saver.set_containers([DATABASE, PAUSED])
    saver.set_rules(RULES)
    machine.stays(MachineState.RUNNING)
    saver.set_containers([PAUSED])
    machine.wait_for(MachineState.PAUSED)


def test_nothing_is_paused_while_nobody_knows_what_runs(
    saver: ResourceSaver, machine: Machine
) -> None:
    saver.set_containers(None)
    saver.set_rules(RULES)
    machine.stays(MachineState.RUNNING)
    saver.set_containers([])
    machine.wait_for(MachineState.PAUSED)


def test_idle_containers_where_that_is_wished(scene: Scene, machine: Machine) -> None:
    scene.saver.set_containers([WEB])
    scene.saver.set_rules(SaverRules(SOON, with_containers=True))
    machine.stays(MachineState.RUNNING)
    assert machine.tries == 0, "one that publishes a port is there to be asked"
    scene.saver.set_containers([DATABASE])
    machine.wait_for(MachineState.PAUSED)


def test_one_that_publishes_ports_where_who_comes_is_heard(scene: Scene, machine: Machine) -> None:
    scene.hears_traffic = False
    scene.saver.set_containers([WEB])
    scene.saver.set_rules(SaverRules(SOON, SOON, with_containers=True, wakes_on_traffic=True))
    machine.wait_until(lambda: machine.states.count(MachineState.PAUSED) >= 3)
    assert MachineState.STOPPED not in machine.states, "no pause lasted"
    scene.hears_traffic = True
    machine.wait_for(MachineState.STOPPED)


def test_one_that_publishes_udp_stays_in_memory(scene: Scene, machine: Machine) -> None:
    """A datagram wakes it there, and brings nothing back from the disk."""
    scene.saver.set_containers([NAMES])
    scene.saver.set_rules(SaverRules(SOON, SOON, with_containers=True, wakes_on_traffic=True))
    machine.wait_for(MachineState.PAUSED)
    machine.stays(MachineState.PAUSED)


def test_containers_at_work_are_not_paused(scene: Scene, machine: Machine) -> None:
    scene.saver.set_containers([DATABASE])
    scene.is_busy = True
    scene.saver.set_rules(SaverRules(SOON, with_containers=True))
    machine.stays(MachineState.RUNNING, 10 * SOON)
    assert scene.cpu_readings >= 2
    scene.is_busy = False
    machine.wait_for(MachineState.PAUSED)


@pytest.mark.parametrize("failure", [BackendFailed("QEMU is silent."), OSError(5, "EIO")])
def test_a_machine_that_cannot_be_paused_is_tried_again(
    saver: ResourceSaver, machine: Machine, failure: Exception
) -> None:
    machine.failures, machine.failure = 2, failure
    began = time.monotonic()
    saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    assert machine.tries == 3
    assert time.monotonic() - began >= 2 * SOON, "not at once"


@pytest.mark.parametrize("state", [MachineState.STOPPED, MachineState.STARTING])
def test_only_what_runs_is_paused(
    saver: ResourceSaver, machine: Machine, state: MachineState
) -> None:
    machine.move(state)
    saver.set_rules(RULES)
    machine.stays(state)
    saver.awake()
    assert machine.state is state
    machine.move(MachineState.RUNNING)  # what runs in it was told while it started
    machine.wait_for(MachineState.PAUSED)


def test_after_a_while_it_is_suspended(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    assert scene.saver.is_saving
    assert scene.shown == [True, True], "nobody sees it awake in between"
    scene.saver.set_rules(NEVER)
    scene.saver.awake()
    machine.wait_for(MachineState.RUNNING)
    assert scene.ended == 0
    assert not scene.marker.exists()
    machine.move(MachineState.STOPPED)
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED, "it ended otherwise"


def test_the_next_supervisor_gives_back_what_was_put_away(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    scene.saver.close()
    scene.open_another()
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING


def test_it_stays_longer_when_somebody_always_comes_at_once(
    scene: Scene, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has once stayed away."""
    scene.saver.set_rules(SaverRules(SOON, 2 * SOON))
    took = []
    for number in range(4):
        machine.wait_for(MachineState.STOPPED)
        took.append(machine.moved[MachineState.STOPPING] - machine.moved[MachineState.PAUSED])
        if number == 2:
            monkeypatch.setattr(saver_rules, "QUICK_RETURN", 0.0)
        scene.saver.awake()
    assert took[1] >= 4 * SOON
    assert took[2] >= 8 * SOON
    assert took[3] < took[2]


def test_others_wait_while_the_way_into_a_paused_machine_is_found(
    scene: Scene, machine: Machine
) -> None:
    scene.saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    scene.saver.set_rules(NEVER)
    rested = []
    machine.adopts = lambda: rested.append(scene.saver.is_suspended())
    scene.saver.awake()
    assert rested == [True]
    assert not scene.saver.is_suspended()


def test_who_only_waits_is_let_go_on_when_it_is_back(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    scene.saver.set_rules(NEVER)
    assert scene.saver.is_suspended()
    over = threading.Event()

    def wait() -> None:
        scene.saver.wait(lambda: False)
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not over.wait(SOON)
    scene.saver.awake()
    assert over.wait(LATE)
    assert not scene.saver.is_suspended()


def test_a_stop_lets_go_who_only_waits(scene: Scene) -> None:
    scene.wait_until_suspended()
    over = threading.Event()

    def wait() -> None:
        scene.saver.wait(lambda: False)
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    with scene.saver.stopping():
        assert over.wait(LATE)


def test_a_start_under_way_is_waited_for_by_nobody_who_serves_it(
    scene: Scene, machine: Machine
) -> None:
    """Its own last steps ask dockerd, as everybody does."""
    scene.wait_until_suspended()
    scene.saver.set_rules(NEVER)
    machine.move(MachineState.STARTING)
    machine.states.clear()
    scene.saver.awake()
    assert machine.states == []


def test_what_its_user_has_stopped_nobody_gets_back(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    with scene.saver.stopping():
        assert scene.ended == 1, "who shows it is told"
    assert scene.ended == 1
    scene.saver.awake()
    scene.saver.close()
    scene.open_another()
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED


def test_a_stop_outdoes_what_is_just_putting_it_away(scene: Scene, machine: Machine) -> None:
    with scene.saver.stopping():
        scene.wait_until_suspended()
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED


@pytest.mark.parametrize("refusal", [BackendFailed("The disk is full."), OSError(5, "EIO")])
def test_what_cannot_be_put_away_is_not_away(
    scene: Scene, machine: Machine, refusal: Exception
) -> None:
    scene.refusal = refusal
    scene.wait_until_suspended()
    assert machine.states.count(MachineState.STOPPING) == 2
    assert scene.ended == 1, "who shows it is told"
    assert MachineState.RUNNING in machine.states
    scene.saver.set_rules(NEVER)
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING


def test_a_supervisor_that_died_putting_it_away_leaves_it_as_it_is(
    scene: Scene, machine: Machine
) -> None:
    scene.saver.close()
    scene.marker.touch()
    scene.open_another()
    assert not scene.marker.exists()
    machine.move(MachineState.STOPPED)
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED


def test_who_comes_while_it_is_put_away_finds_it_awake(scene: Scene, machine: Machine) -> None:
    """He saw it paused, and was the first of the two to get a turn."""

    def come() -> None:
        scene.before_suspend = lambda: None
        scene.saver.awake()

    scene.before_suspend = come
    scene.wait_until_suspended()
    first = machine.states.index(MachineState.STOPPING)
    assert machine.states[first + 1 : first + 3] == [MachineState.STARTING, MachineState.RUNNING]


def test_nobody_meets_a_paused_machine(saver: ResourceSaver, machine: Machine) -> None:
    """Many come whenever they like, each for a moment, and always find it awake."""
    saver.set_rules(SaverRules(0.001))
    met: list[MachineState] = []
    pauses = threading.Event()

    def come() -> None:
        for _ in range(100):
            pauses.wait(0.002)
            saver.begin()
            saver.awake()
            met.append(machine.state)
            saver.end()

    comers = [threading.Thread(target=come) for _ in range(4)]
    for comer in comers:
        comer.start()
    for comer in comers:
        comer.join()
    assert machine.states.count(MachineState.PAUSED) > 5
    marked = [state for state in met if state is MachineState.PAUSED]
    assert not marked, "at work, and yet it was paused"


def test_nobody_meets_a_machine_that_is_put_away(scene: Scene, machine: Machine) -> None:
    scene.saver.set_rules(SaverRules(0.001, 0.001))
    met: list[MachineState] = []
    pauses = threading.Event()

    def come() -> None:
        for _ in range(100):
            pauses.wait(0.02)
            scene.saver.begin()
            scene.saver.awake()
            met.append(machine.state)
            scene.saver.end()

    comers = [threading.Thread(target=come) for _ in range(4)]
    for comer in comers:
        comer.start()
    for comer in comers:
        comer.join()
    assert machine.states.count(MachineState.STOPPED) > 2
    assert not {MachineState.STOPPED, MachineState.PAUSED} & set(met)


def test_what_is_suspended_meanwhile_is_so_no_longer(scene: Scene, machine: Machine) -> None:
    """Else a machine that ends later would be taken for one that the saver has suspended."""
    with scene.saver.suspended_meanwhile():
        for state in (MachineState.STOPPING, MachineState.STOPPED):
            machine.move(state)
            assert scene.saver.state is SaverState.SUSPENDED
        machine.move(MachineState.STARTING)
        machine.move(MachineState.RUNNING)
        assert scene.marker.exists()
    assert not scene.marker.exists()


def test_what_does_not_come_back_meanwhile_is_resumed_by_its_next_use(
    scene: Scene, machine: Machine
) -> None:
    with scene.saver.suspended_meanwhile():
        machine.move(MachineState.STOPPED)
    assert scene.marker.exists()
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING


def test_a_client_who_only_looks_does_not_keep_it_awake(scene: Scene, machine: Machine) -> None:
    """A window that shows figures, say, asks several times within `pause_after`."""
    scene.saver.set_rules(RULES)
    tick = threading.Event()
    until = time.monotonic() + LATE
    while not machine.tries and time.monotonic() < until:
        scene.saver.awake(uses=False)
        tick.wait(SOON / 10)
    assert machine.tries, "it was never tried"


def test_wait_returns_when_it_is_back_and_no_sooner(scene: Scene) -> None:
    scene.wait_until_suspended()
    scene.saver.set_rules(NEVER)
    over = threading.Event()

    def wait() -> None:
        scene.saver.wait()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not over.wait(SOON)
    scene.saver.awake()
    assert over.wait(LATE)


def test_a_closed_saver_has_no_thread(scene: Scene, machine: Machine) -> None:
    scene.saver.set_rules(SaverRules(LATE))
    scene.saver.close()
    assert "resource-saver" not in [one.name for one in threading.enumerate()]
    machine.stays(MachineState.RUNNING, SOON)
