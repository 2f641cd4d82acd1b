"""A request to the engine is pending until the supervisor reports it or the call ends."""

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

type Report = Callable[[MachineState], None]


class Supervisor:
    """A supervisor whose statuses, failures and ends of calls the test sets."""

    def __init__(self) -> None:
        self.reported: queue.SimpleQueue[EngineStatus | None] = queue.SimpleQueue()
        self.calls: list[str] = []
        self.may_end = threading.Event()
        self.fails = False

    def call(self, method: str, _params: object, _report: object) -> None:
        self.calls.append(method)
        self.may_end.wait(20)
        if self.fails:
            raise BackendFailed(Message("", "It failed."))

    def statuses(self) -> Iterator[EngineStatus]:
        yield from iter(self.reported.get, None)

    def close(self) -> None:
        self.reported.put(None)

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connection of a call; that of the listener stays open."""


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    made = Supervisor()
    monkeypatch.setattr(launch, "ensure_supervisor", lambda _home: made)
    return made


@pytest.fixture
def link(qapp: QApplication, supervisor: Supervisor) -> Iterator[Link]:
    """Its threads end with the test: a thread that ran on would start a real supervisor."""
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
def report(link: Link, supervisor: Supervisor, qtbot: QtBot) -> Report:
    """Reports a machine in this state and waits until the link has received it."""

    def report(state: MachineState) -> None:
        with qtbot.waitSignal(link.changed):
            supervisor.reported.put(
                EngineStatus("1", "", Status(state, "fake"), EngineHealth(False))
            )
        assert link.state is state

    return report


def requested(link: Link) -> EngineRequest | None:
    return link.requested


def send(link: Link, request: EngineRequest) -> Task:
    return link.request(request, request.value)


@pytest.mark.parametrize("request_", [EngineRequest.START, EngineRequest.RESTART])
def test_a_start_is_pending_until_the_supervisor_reports_it(
    link: Link, report: Report, request_: EngineRequest
) -> None:
    report(MachineState.STOPPED)
    send(link, request_)
    assert requested(link) is request_
    report(MachineState.STOPPED)
    report(MachineState.STOPPING)
    assert requested(link) is request_

    report(MachineState.STARTING)

    assert requested(link) is None


def test_a_stop_is_pending_until_its_call_ends(
    link: Link, report: Report, supervisor: Supervisor, qtbot: QtBot
) -> None:
    """A starting machine reports further steps after the request to stop it."""
    report(MachineState.STARTING)
    task = send(link, EngineRequest.STOP)
    report(MachineState.STARTING)
    report(MachineState.STOPPING)
    assert requested(link) is EngineRequest.STOP

    supervisor.may_end.set()

    qtbot.waitUntil(lambda: task.state is TaskState.DONE)
    assert requested(link) is None


def test_a_failed_request_is_no_longer_pending_and_can_be_retried(
    link: Link, supervisor: Supervisor, qtbot: QtBot
) -> None:
    supervisor.fails = True
    supervisor.may_end.set()
    task = send(link, EngineRequest.START)
    with qtbot.waitSignal(link.changed):
        qtbot.waitUntil(lambda: task.state is TaskState.FAILED)
    assert requested(link) is None
    supervisor.may_end.clear()
    assert task.retry is not None

    task.retry()

    assert requested(link) is EngineRequest.START
    qtbot.waitUntil(lambda: supervisor.calls == ["start", "start"])


def test_the_end_of_an_older_request_does_not_end_a_newer_one(link: Link, qtbot: QtBot) -> None:
    older = send(link, EngineRequest.START)
    newer = send(link, EngineRequest.STOP)
    older.cancel.set()
    older.set_state(TaskState.CANCELLED)
    assert requested(link) is EngineRequest.STOP
    newer.set_state(TaskState.CANCELLED)
    assert requested(link) is None
