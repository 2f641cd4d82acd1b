"""The window's link to the supervisor: the machine's status, and requests.

A thread follows the engine's status; when the supervisor goes away another one is started, which
adopts the machine. A call is a task with a connection of its own, so that a long start never delays
a short request. The user's requests are in `desktop/actions/`: pages only read here.
"""

import threading
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.session.tasks import Task, Tasks
from engine.dockercli.contexts import this_home
from engine.types import EngineStatus
from vm.errors import Cancelled, GalleyError, Problem
from vm.types import MachineState, SnapshotStep

if TYPE_CHECKING:  # the control socket's end is loaded by its thread, after the first picture
    from engine.control.client import ControlClient

CANCELLABLE = ("start", "restart", "snapshots.create", "snapshots.restore")
PATIENCE = (0.2, 1.0, 5.0, 30.0)  # seconds between attempts to reach a supervisor


class EngineRequest(StrEnum):
    """A request that changes the whole engine. The value is the method of the supervisor."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


class Link(QObject):
    """`status` is the latest, or None while there is no supervisor; `problem` is the reason.
    `requested`: the user's request until a status shows it."""

    changed = Signal()

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.home = this_home()
        self.status: EngineStatus | None = None
        self.problem: Problem | None = None
        self.requested: EngineRequest | None = None
        self._request_task: Task | None = None
        self._tasks = tasks
        self._ended = threading.Event()
        self._again = threading.Event()
        self._client: ControlClient | None = None

    @property
    def state(self) -> MachineState | None:
        return self.status.machine.state if self.status else None

    @property
    def auto_suspended(self) -> bool:
        """The machine is on the disk, and its first use brings it back."""
        return self.status is not None and self.status.auto_suspended

    def open(self) -> None:
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._again.set()
        if self._client is not None:
            self._client.close()

    def retry(self) -> None:
        """Retry at once."""
        self._again.set()

    def request(
        self,
        request: EngineRequest,
        title: str,
        done: Callable[[object], object] | None = None,
        failed: Callable[[Problem], object] | None = None,
    ) -> Task:
        """Like `call`. Sets `requested` at once, until a status shows the start or the task is
        over."""
        task = self.call(title, request.value, done=done, failed=failed)
        task.retry = partial(self.request, request, title, done, failed)
        task.changed.connect(partial(self._forget_request, task))
        self.requested, self._request_task = request, task
        self.changed.emit()
        return task

    def call(
        self,
        title: str,
        method: str,
        params: object = None,
        done: Callable[[object], object] | None = None,
        failed: Callable[[Problem], object] | None = None,
    ) -> Task:
        """Start a task that calls `method` of the supervisor, which is started where none runs.
        `done` and `failed` as in `Tasks.start`."""

        def work(task: Task) -> None:
            from engine.client.launch import ensure_supervisor

            with ensure_supervisor(self.home) as client, task.cancel.closing(client.close):
                try:
                    client.call(method, params, partial(_report, task))
                except GalleyError:
                    if task.cancel.is_set and method in CANCELLABLE:
                        self._cancel()
                    task.cancel.check()
                    raise

        return self._tasks.start(title, work, done, failed)

    def _forget_request(self, task: Task) -> None:
        if task is self._request_task and task.state.is_over:
            self.requested = self._request_task = None
            self.changed.emit()

    def _cancel(self) -> None:
        from engine.client.launch import connect_only

        client = connect_only(self.home)
        if client is not None:
            with client:
                client.call("cancel")

    def _listen(self) -> None:
        from engine.client.launch import ensure_supervisor

        attempt = 0
        while not self._ended.is_set():
            try:
                with ensure_supervisor(self.home) as client:
                    self._client = client
                    for seen in client.statuses():
                        attempt = 0
                        self._tell(seen, None)
            except Cancelled:
                pass
            except GalleyError as error:
                self._tell(None, error.to_problem())
            self._client = None
            self._again.wait(PATIENCE[min(attempt, len(PATIENCE) - 1)])
            attempt += 1
            self._again.clear()

    def _tell(self, seen: EngineStatus | None, problem: Problem | None) -> None:
        def take() -> None:
            self.status, self.problem = seen, problem
            if self.state is MachineState.STARTING and self.requested is not EngineRequest.STOP:
                self.requested = None
            self.changed.emit()

        if not self._ended.is_set():
            self._tasks.invoker.invoke(take)


def _report(task: Task, seen: EngineStatus) -> None:
    work = seen.snapshot_work
    if work is None:
        task.report(boot_step(seen))
    elif work.total_bytes:
        task.report(snapshot_step(work.step), work.done_bytes / work.total_bytes)
    else:
        task.report(snapshot_step(work.step))


def snapshot_step(step: SnapshotStep) -> str:
    match step:
        case SnapshotStep.SUSPEND:
            return tr("Suspending the machine")
        case SnapshotStep.DISK:
            return tr("Copying the disk")
        case SnapshotStep.MEMORY:
            return tr("Copying the memory")
        case SnapshotStep.GO_ON:
            return tr("Resuming the machine")


def boot_step(seen: EngineStatus) -> str:
    """The current step of a start; "" when none is under way."""
    under_way = [step.text for step in seen.machine.boot if step.seconds is None]
    return messages.said(under_way[-1]) if under_way else ""
