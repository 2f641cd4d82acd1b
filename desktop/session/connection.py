"""The connection to the current engine, and whether it answers.

One thread per connection: it makes the client (and so imports the docker SDK outside of the
window's thread), reads dockerd's events and passes them on in batches. When they end, the engine is
down until it answers again. Galley's own engine is tried again when the supervisor reports it
running (`poke`), others periodically. Next: `desktop/stores/engine.py`, which turns events into
rows.
"""

import contextlib
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from desktop.gc_policy import collect_all
from desktop.i18n.text import tr
from desktop.session.tasks import Tasks
from engine.docker.cancel import Cancel
from engine.docker.types import Container, Event
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint
from vm.errors import EngineUnreachable, GalleyError, Problem, Retry
from vm.messages import Message
from vm.types import MachineState

if TYPE_CHECKING:  # the SDK takes a tenth of a second to load
    from engine.docker.client import DockerClient

SEEN_SECONDS = 1.0
BACK_SECONDS = 300.0  # it boots if the suspended state is no longer usable
HEARD_SECONDS = 15.0  # after that
PATIENCE = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds between attempts
DOWN = (MachineState.STOPPING, MachineState.STOPPED, MachineState.ABSENT, MachineState.FAILED)


class Reach(StrEnum):
    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"


class Connection(QObject):
    """`client` may be used from any thread while `is_up`; not from the window's where the machine
    may have to be resumed from disk, which takes time."""

    changed = Signal()  # reach, problem or context
    events = Signal(object)  # list[Event]
    glimpsed = Signal(object)  # tuple[Container, ...], before the engine is known in full

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.context: DockerContext | None = None
        self.reach = Reach.CONNECTING
        self.problem: Problem | None = None
        self._is_paused = False
        self._is_down = False
        self._is_kept = False
        self._tasks = tasks
        self._thread: _ConnectionThread | None = None

    @property
    def client(self) -> "DockerClient":
        """Raises EngineUnreachable while there is none."""
        return self.pinned()()

    def pinned(self) -> "Callable[[], DockerClient]":
        """`client` of the current engine, or none after a switch: a deletion by name must not hit
        another engine."""
        thread = self._thread

        def client() -> "DockerClient":
            if thread is not self._thread:
                raise EngineUnreachable(
                    Message(
                        "",
                        tr("You switched to another engine."),
                        tr("Switch back to that engine, and try again."),
                    ),
                    retry=Retry.NO,
                )
            found = thread.client if thread else None
            if found is None and thread is not None and self.is_kept:
                found = thread.bring_back()
            if found is None:
                raise EngineUnreachable(
                    Message("", tr("The engine is not running."), tr("Start it and try again."))
                )
            return found

        return client

    @property
    def is_up(self) -> bool:
        """Requests are served."""
        return self.reach is Reach.UP or self.is_kept

    @property
    def is_heard(self) -> bool:
        """Its events arrive, so that rows are current. False while the machine is suspended, though
        pings are answered then."""
        return self.reach is Reach.UP and not (self.is_kept or self.waits_for_machine)

    @property
    def is_ours(self) -> bool:
        """The current engine is Galley's own, not another docker context."""
        return self.context is not None and self.context.ours

    @property
    def is_asleep(self) -> bool:
        """Ours, and paused or auto-suspended: any request wakes it, so only the user's are sent."""
        return (self._is_paused or self._is_kept) and self.is_ours

    @property
    def is_kept(self) -> bool:
        """Ours and auto-suspended, or on its way back."""
        return self._is_kept and self.is_ours

    @property
    def waits_for_machine(self) -> bool:
        """Ours and not running: retries would only resume a machine that was auto-suspended."""
        return self._is_down and self.is_ours

    def see_machine(self, state: MachineState | None, auto_suspended: bool = False) -> None:
        """The supervisor's status of Galley's own machine; None without one. `auto_suspended`: its
        first use resumes it."""
        was = self._is_down, self._is_paused, self._is_kept
        if state is not None:  # else unchanged, until the next supervisor reports otherwise
            self._is_down = state in DOWN
        self._is_paused = state is MachineState.PAUSED
        self._is_kept = auto_suspended or (self._is_kept and state is MachineState.STARTING)
        if was[0] and not self._is_down:
            self.poke()
        if was != (self._is_down, self._is_paused, self._is_kept):
            self.changed.emit()

    def use(self, context: DockerContext) -> None:
        """Switch to this engine."""
        self.close()
        self.context, self.reach, self.problem = context, Reach.CONNECTING, None
        self._thread = _ConnectionThread(self, context.endpoint)
        self.changed.emit()
        self._thread.open()

    def poke(self) -> None:
        """Retry at once: the engine may answer now."""
        if self._thread is not None:
            self._thread.again.set()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def tell(
        self, thread: "_ConnectionThread", reach: Reach, problem: Problem | None = None
    ) -> None:
        """Called by `thread`: whether the engine answers."""

        def take() -> None:
            if thread is self._thread and (reach, problem) != (self.reach, self.problem):
                self.reach, self.problem = reach, problem
                self.changed.emit()
                if reach is Reach.DOWN:
                    collect_all()  # a failed connection keeps its socket until then (docker-py)

        self._tasks.invoker.invoke(take)

    def show(self, thread: "_ConnectionThread", rows: tuple[Container, ...]) -> None:
        """Called by `thread`: the rows for the first picture."""

        def take() -> None:
            if thread is self._thread and not self.is_up:
                self.glimpsed.emit(rows)
                QTimer.singleShot(0, thread.seen.set)  # comes after the painting

        self._tasks.invoker.invoke(take)

    def hand_on(self, thread: "_ConnectionThread") -> None:
        """Called by `thread`: events are waiting."""

        def take() -> None:
            if thread is self._thread:
                self.events.emit(thread.take_events())

        self._tasks.invoker.invoke(take)


class _ConnectionThread:
    """The thread of one connection. Ends when it is closed."""

    def __init__(self, owner: Connection, endpoint: Endpoint) -> None:
        self.client: DockerClient | None = None
        self.again = threading.Event()
        self.seen = threading.Event()  # set once the first picture is painted
        self._owner = owner
        self._endpoint = endpoint
        self._cancel = Cancel()
        self._lock = threading.Lock()
        self._there = threading.Condition(self._lock)  # the client
        self._events: list[Event] = []

    def open(self) -> None:
        threading.Thread(target=self._run, name="engine events", daemon=True).start()

    def close(self) -> None:
        self._cancel.set()
        self.again.set()

    def bring_back(self) -> "DockerClient":
        """Resume the machine by using it, and return once its events are read. Raises the engine's
        error. Not from this thread."""
        from engine.docker.client import DockerClient

        with contextlib.closing(DockerClient(self._endpoint, BACK_SECONDS)) as first:
            first.info()  # a ping would be answered without the machine
        self.again.set()
        with self._lock:
            self._there.wait_for(lambda: self.client is not None, HEARD_SECONDS)
            if self.client is None:
                raise EngineUnreachable(Message("", tr("The engine closed the connection.")))
            return self.client

    def take_events(self) -> list[Event]:
        with self._lock:
            taken, self._events = self._events, []
        return taken

    def _run(self) -> None:
        self._show_quick_list()
        from engine.docker.client import DockerClient

        attempt = 0
        while not self._cancel.is_set:
            self.again.clear()
            problem = EngineUnreachable(
                Message("", tr("The engine closed the connection."))
            ).to_problem()
            try:
                client = DockerClient(self._endpoint)
                self._take_up(client)
                self._owner.tell(self, Reach.UP)
                attempt = 0
                for event in client.events(None, self._cancel):
                    self._collect(event)
            except GalleyError as error:
                problem = error.to_problem()
            self._hang_up()
            self._owner.tell(self, Reach.DOWN, problem)
            patience = PATIENCE[min(attempt, len(PATIENCE) - 1)]
            self.again.wait(None if self._owner.waits_for_machine else patience)
            attempt += 1

    def _take_up(self, client: "DockerClient") -> None:
        with self._lock:
            self.client = client
            self._there.notify_all()

    def _hang_up(self) -> None:
        """Close the idle connections, which are dead and would accumulate."""
        client, self.client = self.client, None
        if client is not None:
            client.close()

    def _show_quick_list(self) -> None:
        if self._endpoint.scheme != "unix":
            return
        from engine.docker import quick_list

        with contextlib.suppress(EngineUnreachable):  # `_run` gets and reports it too
            self._owner.show(self, quick_list.containers(self._endpoint))
            self.seen.wait(SEEN_SECONDS)

    def _collect(self, event: Event) -> None:
        with self._lock:
            first = not self._events
            self._events.append(event)
        if first:
            self._owner.hand_on(self)
