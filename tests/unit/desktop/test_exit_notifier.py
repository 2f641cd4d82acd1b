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
def told(stores: EngineStores, clock: Clock) -> "Told":
    return Told(stores, clock)


class Told(QObject):
    def __init__(self, stores: EngineStores, clock: Clock) -> None:
        super().__init__(stores)
        self.summaries: list[str] = []
        self.exit_notifier = ExitNotifier(stores, self, clock)
        self.exit_notifier.failed.connect(self._take)

    def _take(self, problem: Problem, _container: str) -> None:
        self.summaries.append(problem.summary)


def die(code: int, container: str = "abc") -> Event:
    return Event("container", "die", container, "web", 0.0, (("exitCode", str(code)),))


def test_one_that_was_started_here_and_fails_at_once(stores: EngineStores, told: Told) -> None:
    told.exit_notifier.expect("abc")
    stores.told.emit(die(127))
    assert told.summaries == ["web ended at once with exit code 127."]
    stores.told.emit(die(127))
    assert len(told.summaries) == 1, "once is enough, also when it is started again and again"


def test_its_end_may_be_heard_before_its_start_is_known(stores: EngineStores, told: Told) -> None:
    stores.told.emit(die(1))
    told.exit_notifier.expect("abc")
    assert len(told.summaries) == 1


def test_what_ends_well_or_late_or_was_not_ours_is_not_told(
    stores: EngineStores, told: Told, clock: Clock
) -> None:
    told.exit_notifier.expect("well")
    stores.told.emit(die(0, "well"))
    told.exit_notifier.expect("late")
    clock.now += SOON + 1
    stores.told.emit(die(1, "late"))
    stores.told.emit(die(1, "foreign"))
    assert told.summaries == []


def test_no_memory_is_told_of_any_and_once(stores: EngineStores, told: Told) -> None:
    told.exit_notifier.expect("abc")
    stores.told.emit(Event("container", "oom", "abc", "web"))
    stores.told.emit(die(137))
    assert told.summaries == ["web ran out of memory."]
