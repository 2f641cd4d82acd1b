"""When a paused machine is suspended, what resumes it, and which clients wait meanwhile."""

import threading

import pytest

from engine.lifecycle import saver_rules
from engine.lifecycle.saver_rules import SaverRules
from engine.lifecycle.saver_states import SaverState
from tests.background import Background
from tests.unit.engine.lifecycle.saver_scene import LATE, NEVER, RULES, SOON, Machine, Scene
from vm.errors import BackendFailed
from vm.messages import Message
from vm.types import MachineState


def test_a_paused_machine_is_suspended_after_a_while(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    assert scene.saver.is_saving
    assert scene.shown == [True, True], "the machine is not shown as running in between"
    scene.saver.set_rules(NEVER)
    scene.saver.awake()
    machine.wait_for(MachineState.RUNNING)
    assert scene.ended == 0
    assert not scene.marker.exists()
    machine.move(MachineState.STOPPED)
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED, "the saver has not suspended the machine"


def test_the_next_supervisor_resumes_a_suspended_machine(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    scene.saver.close()
    scene.open_another()
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING


def test_quick_resumes_delay_the_next_suspend(
    scene: Scene, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backoff ends once the machine has stayed suspended."""
    scene.saver.set_rules(SaverRules(SOON, 2 * SOON))
    took = []
    for number in range(4):
        machine.wait_for(MachineState.STOPPED)
        took.append(machine.moved_at[MachineState.STOPPING] - machine.moved_at[MachineState.PAUSED])
        if number == 2:
            monkeypatch.setattr(saver_rules, "QUICK_RETURN", 0.0)
        scene.saver.awake()
    assert took[1] >= 4 * SOON
    assert took[2] >= 8 * SOON
    assert took[3] < took[2]


def test_clients_wait_while_a_paused_machine_is_adopted(scene: Scene, machine: Machine) -> None:
    scene.saver.set_rules(RULES)
    machine.wait_for(MachineState.PAUSED)
    scene.saver.set_rules(NEVER)
    gated = []
    machine.on_adopt = lambda: gated.append(scene.saver.is_suspended())
    scene.saver.awake()
    assert gated == [True]
    assert not scene.saver.is_suspended()


def test_waiting_clients_continue_after_the_resume(scene: Scene, machine: Machine) -> None:
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


def test_wait_without_a_condition_returns_after_the_resume(scene: Scene) -> None:
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


def test_notify_makes_a_waiter_check_its_condition_again(scene: Scene) -> None:
    scene.wait_until_suspended()
    is_gone = threading.Event()
    with Background() as beside:
        waiting = beside.submit(scene.saver.wait, is_gone.is_set)
        with pytest.raises(TimeoutError):
            waiting.result(SOON)
        is_gone.set()
        scene.saver.notify()
        waiting.result()
    assert scene.saver.is_suspended()


def test_cached_ping_headers_are_read_from_the_marker(scene: Scene) -> None:
    assert scene.saver.cached_ping_headers() == b""
    scene.marker.write_bytes(b"Api-Version: 1.45")
    assert scene.saver.cached_ping_headers() == b"Api-Version: 1.45"


def test_a_stop_releases_waiting_clients(scene: Scene) -> None:
    scene.wait_until_suspended()
    over = threading.Event()

    def wait() -> None:
        scene.saver.wait(lambda: False)
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    with scene.saver.stopping():
        assert over.wait(LATE)


def test_a_request_does_not_start_a_starting_machine(scene: Scene, machine: Machine) -> None:
    """The last steps of a start send requests themselves."""
    scene.wait_until_suspended()
    scene.saver.set_rules(NEVER)
    machine.move(MachineState.STARTING)
    machine.states.clear()
    scene.saver.awake()
    assert machine.states == []


def test_after_a_stop_by_the_user_a_request_starts_nothing(scene: Scene, machine: Machine) -> None:
    scene.wait_until_suspended()
    with scene.saver.stopping():
        assert scene.ended == 1, "the machine is shown as stopped"
    assert scene.ended == 1
    scene.saver.awake()
    scene.saver.close()
    scene.open_another()
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED


def test_a_stop_overrides_a_suspend_under_way(scene: Scene, machine: Machine) -> None:
    with scene.saver.stopping():
        scene.wait_until_suspended()
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED


@pytest.mark.parametrize(
    "failure", [BackendFailed(Message("", "The disk is full.")), OSError(5, "EIO")]
)
def test_a_failed_suspend_leaves_the_machine_running(
    scene: Scene, machine: Machine, failure: Exception
) -> None:
    scene.suspend_failure = failure
    scene.wait_until_suspended()
    assert machine.states.count(MachineState.STOPPING) == 2
    assert scene.ended == 1, "the machine is shown as running"
    assert MachineState.RUNNING in machine.states
    scene.saver.set_rules(NEVER)
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING


def test_the_marker_of_a_supervisor_that_died_while_suspending_is_removed(
    scene: Scene, machine: Machine
) -> None:
    scene.saver.close()
    scene.marker.touch()
    scene.open_another()
    assert not scene.marker.exists()
    machine.move(MachineState.STOPPED)
    scene.saver.awake()
    assert machine.state is MachineState.STOPPED


def test_a_request_before_the_suspend_aborts_it(scene: Scene, machine: Machine) -> None:
    """The request finds a paused machine, and resumes it just before the suspend gets its lock."""

    def request() -> None:
        scene.before_suspend = lambda: None
        scene.saver.awake()

    scene.before_suspend = request
    scene.wait_until_suspended()
    first = machine.states.index(MachineState.STOPPING)
    assert machine.states[first + 1 : first + 3] == [MachineState.STARTING, MachineState.RUNNING]


def test_no_request_meets_a_suspended_machine(scene: Scene, machine: Machine) -> None:
    scene.saver.set_rules(SaverRules(0.001, 0.001))
    met_suspended: list[bool] = []
    pauses = threading.Event()

    def request() -> None:
        for _ in range(100):
            pauses.wait(0.02)
            scene.saver.begin()
            scene.saver.awake()
            is_suspended = machine.is_halted or machine.state is MachineState.STOPPED
            met_suspended.append(is_suspended)
            scene.saver.end()

    clients = [threading.Thread(target=request) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert machine.states.count(MachineState.STOPPED) > 2
    assert not any(met_suspended)


def test_a_temporary_suspend_leaves_no_marker(scene: Scene, machine: Machine) -> None:
    """With a marker, a machine that ends later would look like an auto-suspended one."""
    with scene.saver.suspended_meanwhile():
        for state in (MachineState.STOPPING, MachineState.STOPPED):
            machine.move(state)
            assert scene.saver.state is SaverState.SUSPENDED
        machine.move(MachineState.STARTING)
        machine.move(MachineState.RUNNING)
        assert scene.marker.exists()
    assert not scene.marker.exists()


def test_a_machine_left_suspended_is_resumed_by_its_next_use(
    scene: Scene, machine: Machine
) -> None:
    with scene.saver.suspended_meanwhile():
        machine.move(MachineState.STOPPED)
    assert scene.marker.exists()
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING


def test_a_failed_keep_awake_does_not_prevent_the_next_pause(
    scene: Scene, machine: Machine
) -> None:
    scene.wait_until_suspended()
    scene.saver.set_rules(RULES)
    scene.start_failure = BackendFailed(Message("", "QEMU ended."))
    with pytest.raises(BackendFailed):
        scene.saver.keep_awake()
    scene.start_failure = None
    scene.saver.awake()
    assert machine.state is MachineState.RUNNING
    machine.wait_for(MachineState.PAUSED)
