"""The saver's state machine on a fake clock: when it pauses or suspends, and what postpones it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from engine.lifecycle.auto_suspend import AutoSuspendMarker
from engine.lifecycle.idle_tracker import IdleTracker, PauseDue, SuspendDue
from engine.lifecycle.saver_rules import Containers, SaverRules
from engine.lifecycle.saver_states import SaverState
from engine.ports.published_spec import Container
from vm.errors import MachineBusy
from vm.types import MachineState, Status

RULES = SaverRules(pause_after=10, suspend_after=30)
PATIENCE = 10.0  # seconds; only a test that fails waits so long
DATABASE = Container("db", State="running")


class Scene:
    """A running machine, its tracker and the clock."""

    def __init__(self, marker: Path) -> None:
        self.state = MachineState.RUNNING
        self.time = 1000.0
        self.marker = AutoSuspendMarker(marker)
        self.tracker = IdleTracker(self, self.marker, lambda: self.time)
        self.tracker.set_containers([])
        self.tracker.set_rules(RULES)

    @property
    def status(self) -> Status:
        return Status(self.state, "fake")

    def move(self, state: MachineState) -> None:
        self.state = state
        self.tracker.machine_changed()

    def pause(self) -> None:
        """Pause, as the machine and the saver's thread do."""
        self.move(MachineState.PAUSED)
        self.tracker.seconds_until_due()
        assert self.tracker.state is SaverState.PAUSED

    def suspend(self) -> None:
        assert self.tracker.begin_suspend()
        self.marker.set()
        for state in (MachineState.RUNNING, MachineState.STOPPING, MachineState.STOPPED):
            self.move(state)
        self.tracker.end_suspend()

    def resume(self) -> None:
        """Resume by use."""
        assert self.tracker.note_request(uses=True) is SaverState.SUSPENDED
        self.tracker.note_return()
        self.move(MachineState.STARTING)
        self.move(MachineState.RUNNING)
        self.tracker.clear_suspend()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "marker")


@pytest.fixture
def tracker(scene: Scene) -> IdleTracker:
    return scene.tracker


# --- when a pause is due


def test_a_pause_is_due_once_the_idle_time_is_over(scene: Scene, tracker: IdleTracker) -> None:
    assert tracker.seconds_until_due() == 10
    assert tracker.state is SaverState.IDLE
    scene.time += 10
    assert tracker.wait_until_due() == PauseDue(10, ())


@pytest.mark.parametrize(
    ("act", "seconds"),
    [
        (lambda tracker: tracker.note_request(uses=True), 10),
        (lambda tracker: tracker.note_request(uses=False), 6),
        (lambda tracker: tracker.restart_idle_time(), 10),
        (lambda tracker: tracker.set_containers([]), 10),
        (lambda tracker: tracker.machine_changed(), 10),
        (lambda tracker: tracker.set_rules(SaverRules(pause_after=20)), 16),
        (lambda tracker: tracker.notify(), 6),
    ],
    ids=["use", "look", "answer", "containers", "machine", "rules", "notify"],
)
def test_what_restarts_the_idle_time(
    scene: Scene, tracker: IdleTracker, act: Callable[[IdleTracker], object], seconds: float
) -> None:
    scene.time += 4
    act(tracker)
    assert tracker.seconds_until_due() == seconds


def test_an_active_request_keeps_the_machine_running(scene: Scene, tracker: IdleTracker) -> None:
    """The idle time begins when the last active request ends."""
    tracker.begin()
    tracker.begin()
    scene.time += 100
    assert tracker.seconds_until_due() is None
    assert tracker.state is SaverState.BUSY
    tracker.end()
    assert tracker.seconds_until_due() is None
    tracker.end()
    assert tracker.seconds_until_due() == 10


class Waiter:
    """A tracker and the thread that waits for it. `looked`: the thread has read the clock."""

    def __init__(self, scene: Scene) -> None:
        self.looked = threading.Event()
        self.due: list[object] = []
        self._scene = scene
        self._thread = threading.Thread(target=self._wait)
        self.tracker = IdleTracker(scene, scene.marker, self._clock)
        self.tracker.set_containers([])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.tracker.close()
        self._thread.join(PATIENCE)

    def _clock(self) -> float:
        if threading.current_thread() is self._thread:
            self.looked.set()
        return self._scene.time

    def _wait(self) -> None:
        self.due.append(self.tracker.wait_until_due())

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert self.due


def test_the_end_of_the_last_request_wakes_the_thread(scene: Scene) -> None:
    """The thread waits without a deadline while a request is active."""
    waiter = Waiter(scene)
    waiter.tracker.set_rules(SaverRules(pause_after=0.001))
    waiter.tracker.begin()
    with waiter:
        until, tick = time.monotonic() + PATIENCE, threading.Event()
        while waiter.tracker.state is not SaverState.BUSY and time.monotonic() < until:
            tick.wait(0.001)  # the thread has not looked yet
        waiter.tracker.end()
        scene.time += 1
        waiter.join()
    assert waiter.due == [PauseDue(0.001, ())]


def test_requests_within_the_idle_time_do_not_wake_the_thread(scene: Scene) -> None:
    """A wake-up for every request would cost CPU time."""
    waiter = Waiter(scene)
    waiter.tracker.set_rules(RULES)
    with waiter:
        assert waiter.looked.wait(PATIENCE)
        assert waiter.tracker.state is SaverState.IDLE
        waiter.looked.clear()
        for _ in range(3):
            waiter.tracker.begin()
            waiter.tracker.end()
            waiter.tracker.restart_idle_time()
        assert not waiter.looked.wait(0.05)


@pytest.mark.parametrize("containers", [None, [DATABASE]], ids=["unknown", "running"])
def test_containers_keep_the_machine_running(
    scene: Scene, tracker: IdleTracker, containers: list[Container] | None
) -> None:
    tracker.set_containers(containers)
    scene.time += 100
    assert tracker.seconds_until_due() is None
    assert tracker.state is SaverState.ACTIVE


def test_a_closed_tracker_has_nothing_to_do(scene: Scene, tracker: IdleTracker) -> None:
    scene.time += 100
    tracker.close()
    assert tracker.wait_until_due() is None


# --- whether a machine that is marked paused can stay paused


def due(scene: Scene, containers: Containers = ()) -> PauseDue:
    scene.tracker.set_containers(containers)
    scene.time += 20
    return PauseDue(10, containers)


def test_a_machine_without_activity_before_the_pause_stays_paused(
    scene: Scene, tracker: IdleTracker
) -> None:
    one = due(scene, (DATABASE,))
    scene.move(MachineState.PAUSED)
    assert tracker.is_still_idle(one, scene.time)


@pytest.mark.parametrize(
    "act",
    [
        lambda tracker: tracker.note_request(uses=False),
        lambda tracker: tracker.begin(),
        lambda tracker: tracker.restart_idle_time(),
    ],
    ids=["request", "active", "answer"],
)
def test_activity_just_before_a_pause_prevents_it(
    scene: Scene, tracker: IdleTracker, act: Callable[[IdleTracker], object]
) -> None:
    one = due(scene, (DATABASE,))
    checked_at = scene.time
    act(tracker)
    scene.move(MachineState.PAUSED)
    assert not tracker.is_still_idle(one, checked_at)


def test_other_containers_prevent_a_pause(scene: Scene, tracker: IdleTracker) -> None:
    """Their CPU use has not been read."""
    one = due(scene, (DATABASE,))
    tracker.set_containers([DATABASE])
    scene.time += 20
    assert not tracker.is_still_idle(one, scene.time)


def test_a_request_that_finds_the_mark_gets_the_state_pausing(
    scene: Scene, tracker: IdleTracker
) -> None:
    one = due(scene)
    scene.state = MachineState.PAUSED  # marked this moment; `machine_changed` comes later
    assert tracker.note_request(uses=True) is SaverState.PAUSING
    assert not tracker.is_still_idle(one, scene.time)


# --- suspended


def test_a_suspend_is_due_after_a_time_in_pause(scene: Scene, tracker: IdleTracker) -> None:
    scene.pause()
    assert tracker.seconds_until_due() == 30
    scene.time += 30
    assert tracker.wait_until_due() == SuspendDue(scene.time - 30)


def test_a_resumed_machine_is_not_suspended(scene: Scene, tracker: IdleTracker) -> None:
    scene.pause()
    scene.move(MachineState.RUNNING)
    assert not tracker.begin_suspend()
    assert tracker.state is SaverState.ACTIVE


def test_a_request_aborts_a_suspend(scene: Scene, tracker: IdleTracker) -> None:
    scene.pause()
    paused_at = scene.time
    scene.time += 30
    assert tracker.begin_suspend()
    tracker.check_unused(paused_at)
    assert tracker.note_request(uses=False) is SaverState.SUSPENDING
    with pytest.raises(MachineBusy):
        tracker.check_unused(paused_at)


def test_an_active_request_aborts_a_suspend(scene: Scene, tracker: IdleTracker) -> None:
    tracker.begin()
    scene.pause()
    with pytest.raises(MachineBusy):
        tracker.check_unused(scene.time)


def test_a_suspend_that_fails_at_once_is_retried_later(scene: Scene, tracker: IdleTracker) -> None:
    scene.pause()
    scene.time += 30
    assert tracker.begin_suspend()
    assert not tracker.clear_suspend()
    assert tracker.seconds_until_due() == 30
    assert tracker.state is SaverState.PAUSED


def test_each_quick_resume_doubles_the_time_until_the_next_suspend(
    scene: Scene, tracker: IdleTracker
) -> None:
    """The backoff is at most 16 times, and ends once the machine stays suspended for a minute."""
    waits = []
    for number in range(7):
        scene.pause()
        waits.append(tracker.seconds_until_due())
        scene.suspend()
        scene.time += 61 if number == 5 else 59
        scene.resume()
    assert waits == [30, 60, 120, 240, 480, 480, 30]


def test_only_a_resume_by_use_counts_as_quick(scene: Scene, tracker: IdleTracker) -> None:
    """A start by the user does not."""
    scene.pause()
    scene.suspend()
    tracker.clear_suspend()
    scene.move(MachineState.RUNNING)
    tracker.note_return()
    scene.pause()
    assert tracker.seconds_until_due() == 30


def test_the_gate_is_closed_until_the_machine_runs_again(
    scene: Scene, tracker: IdleTracker
) -> None:
    assert not tracker.is_suspended()
    scene.pause()
    assert not tracker.is_suspended(), "a paused machine resumes at once"
    scene.suspend()
    assert tracker.is_suspended()
    scene.move(MachineState.STARTING)
    assert tracker.state is SaverState.RESUMING
    assert tracker.is_suspended()
    scene.move(MachineState.RUNNING)
    assert not tracker.is_suspended()


@pytest.mark.parametrize("state", [MachineState.STARTING, MachineState.STOPPED])
def test_a_stop_by_the_user_opens_the_gate(
    scene: Scene, tracker: IdleTracker, state: MachineState
) -> None:
    scene.pause()
    scene.suspend()
    scene.move(state)
    assert tracker.clear_suspend() is (state is MachineState.STOPPED)
    assert tracker.state is SaverState.OFF
    assert not tracker.is_suspended()


def test_a_paused_machine_without_a_connection_closes_the_gate_while_it_is_resumed(
    scene: Scene, tracker: IdleTracker
) -> None:
    """An earlier supervisor has paused it: this one has to connect to it first."""
    scene.pause()
    scene.move(MachineState.STARTING)
    assert tracker.is_suspended()
    scene.move(MachineState.FAILED)
    assert not tracker.is_suspended()


def test_a_start_by_the_user_leaves_the_gate_open(scene: Scene, tracker: IdleTracker) -> None:
    scene.move(MachineState.STOPPED)
    scene.move(MachineState.STARTING)
    assert tracker.state is SaverState.OFF
    assert not tracker.is_suspended()
