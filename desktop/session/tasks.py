"""Runs work outside of the window's thread.

`Tasks.start` is for requests of the user: a task has a name, shows progress, can be cancelled, is
listed in the status bar and ends in a result or in a `Problem`. `Tasks.quietly` is for requests of
the window itself. Work runs in a few daemon threads; everything else here happens in the window's
thread, where `done` and `failed` are called. The broad `except` of the window is here.
"""

import queue
import threading
import traceback
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal, Slot

from desktop.gc_policy import collect_if_due
from desktop.i18n import messages
from desktop.i18n.text import tr
from engine.docker.cancel import Cancel
from vm.errors import Cancelled, GalleyError, Problem

THREADS = 12
KEPT = 50  # ended tasks that the list still shows


class MainThreadInvoker(QObject):
    """Runs callables in the thread that it was made in."""

    _invoked = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._is_stopped = False
        self._invoked.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def invoke(self, call: Callable[[], object]) -> None:
        """Queue `call`, from any thread. Does nothing after `stop`."""
        with self._lock:
            if not self._is_stopped:
                self._invoked.emit(call)

    def stop(self) -> None:
        """Call this before it is deleted, which threads do not notice."""
        with self._lock:
            self._is_stopped = True

    @Slot(object)
    def _run(self, call: Callable[[], object]) -> None:
        call()
        collect_if_due()


class TaskState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)


class Task(QObject):
    """One piece of work, as the window shows it. Lives in the window's thread; `report` is for the
    worker."""

    changed = Signal()

    def __init__(
        self, title: str, invoker: MainThreadInvoker, parent: QObject, *, announce: bool
    ) -> None:
        super().__init__(parent)
        self.title = title
        self.announce = announce  # its success is worth a toast
        self.state = TaskState.WAITING
        self.note = ""  # what it is doing now; afterwards, its result
        self.fraction: float | None = None
        self.detail: object = None  # for the view of this kind of task
        self.problem: Problem | None = None
        self.retry: Callable[[], object] | None = None
        self.cancel = Cancel()
        self._invoker = invoker
        self._lock = threading.Lock()
        self._news: tuple[str, float | None, object] | None = None

    def report(self, note: str, fraction: float | None = None, detail: object = None) -> None:
        """Called by the worker, any number of times; the window shows the latest report when it has
        time."""
        self.cancel.check()
        with self._lock:
            waiting, self._news = self._news is not None, (note, fraction, detail)
        if not waiting:
            self._invoker.invoke(self._take_news)

    def _take_news(self) -> None:
        with self._lock:
            news, self._news = self._news, None
        if news is not None and not self.state.is_over:
            self.note, self.fraction, self.detail = news
            self.changed.emit()

    def set_state(self, state: TaskState) -> None:
        self.state = state
        self.changed.emit()


class Tasks(QObject):
    """The tasks of the window, newest last."""

    added = Signal(object)  # Task
    ended = Signal(object)  # Task
    changed = Signal()  # the list, or anything in it

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.all: list[Task] = []
        self.invoker = MainThreadInvoker(self)
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = False
        self._idle = 0
        self._threads = 0
        self._lock = threading.Lock()

    @property
    def running(self) -> list[Task]:
        return [task for task in self.all if not task.state.is_over]

    def start[Result](
        self,
        title: str,
        work: Callable[[Task], Result],
        done: Callable[[Result], object] | None = None,
        failed: Callable[[Problem], object] | None = None,
        *,
        announce: bool = False,
    ) -> Task:
        """Do `work`; then `done` or `failed` is called here. A failure is a toast all the same,
        unless `failed` returns True, because it has shown it."""
        task = Task(title, self.invoker, self, announce=announce)
        task.retry = lambda: self.start(title, work, done, failed, announce=announce)
        self.all.append(task)
        self._forget_old()
        task.changed.connect(self.changed)
        self.added.emit(task)
        self.changed.emit()

        def begin() -> None:
            if not task.state.is_over:
                task.set_state(TaskState.RUNNING)

        def run() -> Result:
            task.cancel.check()
            self.invoker.invoke(begin)
            return work(task)

        def succeed(result: Result) -> None:
            task.fraction = 1.0
            if isinstance(result, str) and result:
                task.note = result
            try:
                if done is not None:
                    done(result)
            finally:  # an error in the callback is reported, and the task ends all the same
                self._end(task, TaskState.DONE)

        def fail(problem: Problem) -> None:
            if problem.kind == Cancelled.__name__ or task.cancel.is_set:
                self._end(task, TaskState.CANCELLED)
                return
            task.problem, task.note = problem, messages.summary(problem)
            try:
                if failed is not None and failed(problem):
                    task.problem = None
            finally:
                self._end(task, TaskState.FAILED)

        self._enqueue(run, succeed, fail)
        return task

    def quietly[Result](
        self,
        work: Callable[[], Result],
        done: Callable[[Result], object],
        failed: Callable[[Problem], object] = lambda _problem: None,
    ) -> None:
        """Without an entry in the list of tasks."""
        self._enqueue(work, done, failed)

    def close(self) -> None:
        """Cancel all tasks; nothing is called any more."""
        self.cancel_all()
        self.invoker.stop()
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._work.put(None)

    def cancel_all(self) -> None:
        for task in self.running:
            task.cancel.set()

    def clear(self) -> None:
        """Forget what has ended."""
        over, self.all = [task for task in self.all if task.state.is_over], self.running
        for task in over:
            task.deleteLater()
        self.changed.emit()

    def _end(self, task: Task, state: TaskState) -> None:
        task.set_state(state)
        self.ended.emit(task)

    def _forget_old(self) -> None:
        over = [task for task in self.all if task.state.is_over]
        for task in over[: max(0, len(over) - KEPT)]:
            self.all.remove(task)
            task.deleteLater()

    def _enqueue[Result](
        self,
        work: Callable[[], Result],
        done: Callable[[Result], object],
        failed: Callable[[Problem], object],
    ) -> None:
        def run() -> None:
            outcome = _attempt(work)
            if isinstance(outcome, _Failure):
                self.invoker.invoke(partial(failed, outcome.problem))
            else:
                self.invoker.invoke(partial(done, outcome))

        with self._lock:
            if self._closed:
                return
            self._work.put(run)
            if self._work.qsize() <= self._idle or self._threads >= THREADS:
                return
            self._threads += 1
            name = f"task {self._threads}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            run = self._work.get()
            with self._lock:
                self._idle -= 1
            if run is None:
                return
            run()
            del run  # else its references to the window would be deleted in this thread


class _Failure:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def _attempt[Result](work: Callable[[], Result]) -> Result | _Failure:
    try:
        return work()
    except GalleyError as error:
        return _Failure(error.to_problem())
    except Exception as error:
        return _Failure(unexpected(error))


def unexpected(error: BaseException) -> Problem:
    """An unexpected error, with what a bug report needs."""
    return Problem(
        GalleyError.__name__,
        tr("Internal error in Galley: {error}.", error=f"{type(error).__name__}: {error}"),
        tr("Please report it with the details."),
        "".join(traceback.format_exception(error)),
    )
