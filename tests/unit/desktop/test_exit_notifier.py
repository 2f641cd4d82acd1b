"""Which exits of containers are reported, and which are not."""

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from desktop.exit_notifier import SOON, ExitNotifier
from desktop.session.connection import Connection
from desktop.session.tasks import Tasks
from desktop.stores.engine import EngineStores
from engine.docker.types import Event
from vm.errors import Problem


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stores(qapp: QApplication) -> EngineStores:
    tasks = Tasks(qapp)
    return EngineStores(tasks, Connection(tasks, qapp), qapp)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reports(stores: EngineStores, clock: Clock) -> "Reports":
    return Reports(stores, clock)


class Reports(QObject):
    def __init__(self, stores: EngineStores, clock: Clock) -> None:
        super().__init__(stores)
        self.summaries: list[str] = []
        self.exit_notifier = ExitNotifier(stores, self, clock)
        self.exit_notifier.failed.connect(self._take)

    def _take(self, problem: Problem, _container: str) -> None:
        self.summaries.append(problem.summary)


def die(code: int, container: str = "abc") -> Event:
    return Event("container", "die", container, "web", 0.0, (("exitCode", str(code)),))


def test_a_container_that_fails_right_after_its_start_is_reported_once(
    stores: EngineStores, reports: Reports
) -> None:
    reports.exit_notifier.expect("abc")
    stores.told.emit(die(127))
    assert reports.summaries == ["web ended at once with exit code 127."]
    stores.told.emit(die(127))
    assert len(reports.summaries) == 1, "one report, also if it restarts repeatedly"


def test_an_exit_event_may_arrive_before_the_start_event(
    stores: EngineStores, reports: Reports
) -> None:
    stores.told.emit(die(1))
    reports.exit_notifier.expect("abc")
    assert len(reports.summaries) == 1


def test_a_successful_a_late_and_a_foreign_exit_are_not_reported(
    stores: EngineStores, reports: Reports, clock: Clock
) -> None:
    reports.exit_notifier.expect("well")
    stores.told.emit(die(0, "well"))
    reports.exit_notifier.expect("late")
    clock.now += SOON + 1
    stores.told.emit(die(1, "late"))
    stores.told.emit(die(1, "foreign"))
    assert reports.summaries == []


def test_an_out_of_memory_kill_is_reported_once(stores: EngineStores, reports: Reports) -> None:
    reports.exit_notifier.expect("abc")
    stores.told.emit(Event("container", "oom", "abc", "web"))
    stores.told.emit(die(137))
    assert reports.summaries == ["web ran out of memory."]
