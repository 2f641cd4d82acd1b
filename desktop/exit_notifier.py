"""Reports containers that exit unexpectedly.

Two kinds get a message: a container that was started from here and failed within seconds, and one
that the kernel killed at its memory limit. Any other only shows "failed" in its row. Made in
`app.py`, for it lives as long as the window.
"""

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from desktop.i18n.text import tr
from desktop.stores.engine import EngineStores
from engine.docker.types import Event
from vm.errors import EngineRefused, Problem, Retry

SOON = 5.0  # seconds after its start


class ExitNotifier(QObject):
    """`failed`: what to show, and the id of the container. `expect` registers a start."""

    failed = Signal(object, str)  # Problem

    def __init__(
        self, stores: EngineStores, parent: QObject, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._started: dict[str, float] = {}
        self._ended: dict[str, tuple[float, int]] = {}  # of which no start is registered yet
        self._out_of_memory: dict[str, float] = {}
        stores.told.connect(self._on_event)

    def expect(self, container: str) -> None:
        """It was started just now; it may have ended already."""
        self._forget_old()
        self._started[container] = self._clock()
        if container in self._ended:
            _, code = self._ended.pop(container)
            self._report(container, "", code)

    def _on_event(self, event: Event) -> None:
        if event.kind != "container":
            return
        if event.action == "oom":
            self._out_of_memory[event.id] = self._clock()
            self.failed.emit(out_of_memory(event.name), event.id)
        elif event.action == "die":
            code = int(dict(event.attributes).get("exitCode") or 0)
            if event.id in self._started:
                self._report(event.id, event.name, code)
            else:
                self._ended[event.id] = (self._clock(), code)

    def _report(self, container: str, name: str, code: int) -> None:
        """Report it once, if it has exited soon enough after its start."""
        started = self._started.pop(container)
        reported = container in self._out_of_memory
        if code and not reported and self._clock() - started < SOON:
            self.failed.emit(ended_at_once(name, code), container)

    def _forget_old(self) -> None:
        now = self._clock()
        self._started = {k: at for k, at in self._started.items() if now - at < SOON}
        self._ended = {k: one for k, one in self._ended.items() if now - one[0] < SOON}
        self._out_of_memory = {k: at for k, at in self._out_of_memory.items() if now - at < SOON}


def ended_at_once(name: str, code: int) -> Problem:
    known = {
        126: tr("The command exists, but cannot be executed."),
        127: tr("The image has no such command."),
    }
    summary = (
        tr("{name} ended at once with exit code {code}.", name=name, code=code)
        if name
        else tr("The container ended at once with exit code {code}.", code=code)
    )
    hint = known.get(code, tr("The log usually shows why."))
    return Problem(EngineRefused.__name__, summary, hint, retry=Retry.NO)


def out_of_memory(name: str) -> Problem:
    return Problem(
        EngineRefused.__name__,
        tr("{name} ran out of memory.", name=name),
        tr("The container exceeded its memory limit. Raise the limit, or reduce its memory usage."),
        retry=Retry.NO,
    )
