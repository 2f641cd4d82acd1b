"""The engine that the window looks at, and whether it answers. May import: `engine`, `tasks`.

One thread per connection: it makes the client (and so loads the docker SDK, away from the window's
thread), listens to dockerd's events and hands them on in bunches; when they end, the engine is down
until it answers again. Galley's own engine is tried again when the supervisor says that it is there
(`poke`), others now and then. Next: `stores/engine.py`, which turns events into rows.
"""

import contextlib
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from desktop.garbage import collect_all
from desktop.tasks import Tasks
from desktop.text import tr
from engine.contexts import DockerContext
from engine.docker.cancel import Cancel
from engine.docker.endpoint import Endpoint
from engine.docker.types import Container, Event
from vm.errors import EngineUnreachable, GalleyError, Problem, Retry
from vm.types import MachineState

if TYPE_CHECKING:  # the SDK takes a tenth of a second to load
    from engine.docker.client import DockerClient

SEEN_SECONDS = 1.0
PATIENCE = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds between attempts
DOWN = (MachineState.STOPPING, MachineState.STOPPED, MachineState.ABSENT, MachineState.FAILED)


class Reach(StrEnum):
    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"


class Connection(QObject):
    """`client` may be used from any thread while `reach` is UP."""

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
        self._tasks = tasks
        self._line: _Line | None = None

    @property
    def client(self) -> "DockerClient":
        """Raises EngineUnreachable while there is none."""
        return self.pinned()()

    def pinned(self) -> "Callable[[], DockerClient]":
        """`client` of the engine that is looked at now, or none, when another one is by then: what
        is deleted by name must not be another engine's."""
        line = self._line

        def client() -> "DockerClient":
            if line is not self._line:
                raise EngineUnreachable(
                    tr("Another engine is looked at now."),
                    tr("Go back to the engine that this was asked of, and ask again."),
                    retry=Retry.NO,
                )
            found = line.client if line else None
            if found is None:
                raise EngineUnreachable(
                    tr("The engine is not running."), tr("Start it and try again.")
                )
            return found

        return client

    @property
    def is_up(self) -> bool:
        return self.reach is Reach.UP

    @property
    def is_ours(self) -> bool:
        """Galley's own VM is looked at, and not another context."""
        return self.context is not None and self.context.ours

    @property
    def is_asleep(self) -> bool:
        """It is ours and paused: every question wakes it, so none is asked unless somebody does."""
        return self._is_paused and self.is_ours

    @property
    def waits_for_machine(self) -> bool:
        """It is ours and does not run: asking for it again and again would only bring it back from
        the disk, where it was put because nobody uses it."""
        return self._is_down and self.is_ours

    def see_machine(self, state: MachineState | None) -> None:
        """What the supervisor says of Galley's own; None when it says nothing."""
        was_down, self._is_down = self._is_down, state in DOWN
        if was_down and not self._is_down:
            self.poke()
        is_paused = state is MachineState.PAUSED
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self.changed.emit()

    def use(self, context: DockerContext) -> None:
        """Look at this engine from now on."""
        self.close()
        self.context, self.reach, self.problem = context, Reach.CONNECTING, None
        self._line = _Line(self, context.endpoint)
        self.changed.emit()
        self._line.open()

    def poke(self) -> None:
        """It may answer now: do not wait any longer."""
        if self._line is not None:
            self._line.again.set()

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def tell(self, line: "_Line", reach: Reach, problem: Problem | None = None) -> None:
        """From the thread of `line`."""

        def take() -> None:
            if line is self._line and (reach, problem) != (self.reach, self.problem):
                self.reach, self.problem = reach, problem
                self.changed.emit()
                if reach is Reach.DOWN:
                    collect_all()  # what failed keeps its socket until then (docker-py, connect)

        self._tasks.bell.ring(take)

    def show(self, line: "_Line", rows: tuple[Container, ...]) -> None:
        """From the thread of `line`: what there is, for the first picture."""

        def take() -> None:
            if line is self._line and not self.is_up:
                self.glimpsed.emit(rows)
                QTimer.singleShot(0, line.seen.set)  # comes after the painting

        self._tasks.bell.ring(take)

    def hand_on(self, line: "_Line") -> None:
        """From the thread of `line`: events are waiting."""

        def take() -> None:
            if line is self._line:
                self.events.emit(line.take_events())

        self._tasks.bell.ring(take)


class _Line:
    """The thread of one connection. Ends when it is closed."""

    def __init__(self, owner: Connection, endpoint: Endpoint) -> None:
        self.client: DockerClient | None = None
        self.again = threading.Event()
        self.seen = threading.Event()  # the first picture is there: loading may slow it no more
        self._owner = owner
        self._endpoint = endpoint
        self._cancel = Cancel()
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def open(self) -> None:
        threading.Thread(target=self._run, name="engine events", daemon=True).start()

    def close(self) -> None:
        self._cancel.set()
        self.again.set()

    def take_events(self) -> list[Event]:
        with self._lock:
            taken, self._events = self._events, []
        return taken

    def _run(self) -> None:
        self._glimpse()
        from engine.docker.client import DockerClient

        attempt = 0
        while not self._cancel.is_set:
            self.again.clear()
            problem = EngineUnreachable(tr("The engine closed the connection.")).to_problem()
            try:
                self.client = DockerClient(self._endpoint)
                self._owner.tell(self, Reach.UP)
                attempt = 0
                for event in self.client.events(None, self._cancel):
                    self._collect(event)
            except GalleyError as error:
                problem = error.to_problem()
            self._hang_up()
            self._owner.tell(self, Reach.DOWN, problem)
            patience = PATIENCE[min(attempt, len(PATIENCE) - 1)]
            self.again.wait(None if self._owner.waits_for_machine else patience)
            attempt += 1

    def _hang_up(self) -> None:
        """Its idle connections lead nowhere; kept, they would add up with every such end."""
        client, self.client = self.client, None
        if client is not None:
            client.close()

    def _glimpse(self) -> None:
        if self._endpoint.scheme != "unix":
            return
        from engine.docker import glimpse

        with contextlib.suppress(EngineUnreachable):  # which is found out again, and told
            self._owner.show(self, glimpse.containers(self._endpoint))
            self.seen.wait(SEEN_SECONDS)

    def _collect(self, event: Event) -> None:
        with self._lock:
            first = not self._events
            self._events.append(event)
        if first:
            self._owner.hand_on(self)
