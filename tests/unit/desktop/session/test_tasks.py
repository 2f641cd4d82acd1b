"""Work outside the GUI thread: results, failures, progress, cancellation."""

import threading
from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from desktop.session.tasks import KEPT, THREADS, Task, Tasks, TaskState
from vm.errors import EngineRefused, Problem
from vm.messages import Message


@pytest.fixture
def tasks(qapp: QApplication) -> Tasks:
    return Tasks(qapp)


def test_a_result_is_delivered_in_the_gui_thread(qtbot: QtBot, tasks: Tasks) -> None:
    threads: list[str] = []

    def work(task: Task) -> str:
        threads.append(threading.current_thread().name)
        task.report("half", 0.5)
        return "the result"

    task = tasks.start("Count", work, lambda _r: threads.append(threading.current_thread().name))
    qtbot.waitUntil(lambda: task.state is TaskState.DONE)
    assert threads[0] != threads[1] == threading.main_thread().name
    assert task.note == "the result"


def test_an_error_is_a_problem_and_can_be_retried(qtbot: QtBot, tasks: Tasks) -> None:
    answers = iter([EngineRefused(Message("", "No.", "Ask again.")), None])
    problems: list[Problem] = []

    def work(_task: Task) -> None:
        error = next(answers)
        if error is not None:
            raise error

    task = tasks.start("Try", work, None, lambda problem: problems.append(problem))
    qtbot.waitUntil(lambda: task.state is TaskState.FAILED)
    assert problems[0].hint == "Ask again."
    assert task.problem == problems[0]
    assert task.retry is not None
    again = task.retry()
    assert isinstance(again, Task)
    qtbot.waitUntil(lambda: again.state is TaskState.DONE)


def test_an_unexpected_exception_is_a_problem_with_its_traceback(
    qtbot: QtBot, tasks: Tasks
) -> None:
    def work(_task: Task) -> None:
        raise KeyError("missing")

    task = tasks.start("Fail", work)
    qtbot.waitUntil(lambda: task.state is TaskState.FAILED)
    assert task.problem is not None
    assert "KeyError" in task.problem.summary
    assert "in work" in task.problem.details


def test_a_cancelled_task_ends_at_its_next_report(qtbot: QtBot, tasks: Tasks) -> None:
    began = threading.Event()

    def work(task: Task) -> None:
        while True:
            began.set()
            task.report("going on")

    task = tasks.start("Endless", work)
    qtbot.waitUntil(began.is_set)
    task.cancel.set()
    qtbot.waitUntil(lambda: task.state is TaskState.CANCELLED)
    assert task.problem is None


def test_many_tasks_use_few_threads_and_all_end(qtbot: QtBot, tasks: Tasks) -> None:
    seen: set[str] = set()
    lock = threading.Lock()

    def work(_task: Task) -> None:
        with lock:
            seen.add(threading.current_thread().name)

    for number in range(4 * THREADS):
        tasks.start(str(number), work)
    qtbot.waitUntil(lambda: not tasks.running)
    assert len(seen) <= THREADS
    assert len(tasks.all) <= KEPT + 1


def test_slow_tasks_do_not_delay_a_quick_one(qtbot: QtBot, tasks: Tasks) -> None:
    gate = threading.Event()
    waiting = [tasks.start("slow", lambda _task: gate.wait(10)) for _ in range(THREADS - 1)]
    quick: list[int] = []
    tasks.quietly(lambda: 1, quick.append)
    qtbot.waitUntil(lambda: quick == [1])
    assert not any(task.state.is_over for task in waiting)
    gate.set()
    qtbot.waitUntil(lambda: not tasks.running)


def test_progress_signals_are_throttled(qtbot: QtBot, tasks: Tasks) -> None:
    seen: list[float | None] = []

    def work(task: Task) -> None:
        for number in range(10_000):
            task.report("counting", number / 10_000)

    task = tasks.start("Count", work)
    note: Callable[[], None] = lambda: seen.append(task.fraction)  # noqa: E731
    task.changed.connect(note)
    qtbot.waitUntil(lambda: task.state is TaskState.DONE)
    assert len(seen) < 10_000
    assert seen[-1] == 1.0


def test_an_exception_in_a_callback_does_not_leave_the_task_running(
    qtbot: QtBot, tasks: Tasks
) -> None:
    def done(_result: object) -> None:
        raise ZeroDivisionError

    def failed(_problem: Problem) -> bool:
        raise ZeroDivisionError

    def refuse(_task: Task) -> None:
        raise EngineRefused(Message("", "No."))

    with qtbot.captureExceptions() as exceptions:
        succeeding = tasks.start("Succeed", lambda _task: 1, done)
        failing = tasks.start("Fail", refuse, None, failed)
        qtbot.waitUntil(lambda: not tasks.running)
    assert len(exceptions) == 2
    assert (succeeding.state, failing.state) == (TaskState.DONE, TaskState.FAILED)
    assert failing.problem is not None


def test_a_cleared_task_is_deleted(qtbot: QtBot, tasks: Tasks) -> None:
    task = tasks.start("Once", lambda _task: None)
    qtbot.waitUntil(lambda: not tasks.running)
    tasks.clear()
    qtbot.waitUntil(lambda: not isValid(task))
