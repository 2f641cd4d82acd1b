"""What the user asked of the engine is known until the supervisor shows it, or it is over."""

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.session.link import EngineRequest, Link
from desktop.session.tasks import Task, Tasks, TaskState
from engine.client import launch
from engine.types import EngineHealth, EngineStatus
from vm.errors import BackendFailed
from vm.messages import Message
from vm.types import MachineState, Status

type Seen = Callable[[MachineState], None]


class Supervisor:
    """A supervisor of which a test says what it shows and when a call ends."""

    def __init__(self) -> None:
        self.shown: queue.SimpleQueue[EngineStatus | None] = queue.SimpleQueue()
        self.calls: list[str] = []
        self.may_end = threading.Event()
        self.fails = False

    def call(self, method: str, _params: object, _report: object) -> None:
        self.calls.append(method)
        self.may_end.wait(20)
        if self.fails:
            raise BackendFailed(Message("", "It failed."))

    def statuses(self) -> Iterator[EngineStatus]:
        yield from iter(self.shown.get, None)

    def close(self) -> None:
        self.shown.put(None)

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A call's connection is closed; that of the listener stays."""


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    made = Supervisor()
    monkeypatch.setattr(launch, "ensure_supervisor", lambda _home: made)
    return made


@pytest.fixture
def link(qapp: QApplication, supervisor: Supervisor) -> Iterator[Link]:
    """Its threads end with the test: one that ran on would start a real supervisor."""
    others = set(threading.enumerate())
    tasks = Tasks(qapp)
    made = Link(tasks, qapp)
    made.open()
    yield made
    supervisor.may_end.set()
    made.close()
    tasks.close()
    for thread in set(threading.enumerate()) - others:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def show(link: Link, supervisor: Supervisor, qtbot: QtBot) -> Seen:
    """The supervisor shows a machine in this state, and the link has seen it."""

    def show(state: MachineState) -> None:
        with qtbot.waitSignal(link.changed):
            supervisor.shown.put(EngineStatus("1", "", Status(state, "fake"), EngineHealth(False)))
        assert link.state is state

    return show


def requested(link: Link) -> EngineRequest | None:
    return link.requested


def ask(link: Link, request: EngineRequest) -> Task:
    return link.request(request, request.value)


@pytest.mark.parametrize("request_", [EngineRequest.START, EngineRequest.RESTART])
def test_it_is_known_until_the_start_is_shown(
    link: Link, show: Seen, request_: EngineRequest
) -> None:
    show(MachineState.STOPPED)
    ask(link, request_)
    assert requested(link) is request_
    show(MachineState.STOPPED)
    show(MachineState.STOPPING)
    assert requested(link) is request_

    show(MachineState.STARTING)

    assert requested(link) is None


def test_a_stop_is_known_until_it_has_ended(
    link: Link, show: Seen, supervisor: Supervisor, qtbot: QtBot
) -> None:
    """A machine that starts reports its steps for some time still."""
    show(MachineState.STARTING)
    task = ask(link, EngineRequest.STOP)
    show(MachineState.STARTING)
    show(MachineState.STOPPING)
    assert requested(link) is EngineRequest.STOP

    supervisor.may_end.set()

    qtbot.waitUntil(lambda: task.state is TaskState.DONE)
    assert requested(link) is None


def test_one_that_failed_is_known_no_longer_and_can_be_repeated(
    link: Link, supervisor: Supervisor, qtbot: QtBot
) -> None:
    supervisor.fails = True
    supervisor.may_end.set()
    task = ask(link, EngineRequest.START)
    with qtbot.waitSignal(link.changed):
        qtbot.waitUntil(lambda: task.state is TaskState.FAILED)
    assert requested(link) is None
    supervisor.may_end.clear()
    assert task.retry is not None

    task.retry()

    assert requested(link) is EngineRequest.START
    qtbot.waitUntil(lambda: supervisor.calls == ["start", "start"])


def test_the_end_of_an_older_one_says_nothing_of_the_newer(link: Link, qtbot: QtBot) -> None:
    older = ask(link, EngineRequest.START)
    newer = ask(link, EngineRequest.STOP)
    older.cancel.set()
    older.set_state(TaskState.CANCELLED)
    assert requested(link) is EngineRequest.STOP
    newer.set_state(TaskState.CANCELLED)
    assert requested(link) is None
