"""Reads the stats of one container while they are shown.

A thread of its own reads dockerd's stream, one reading a second, and hands them on in batches; it
ends with the container, or with `stop`. Next: `tab.py` and
`desktop/pages/containers/inside/tab.py`, which draw them.
"""

import threading
from collections.abc import Iterator, Sequence

from PySide6.QtCore import QObject, Signal

from desktop.context import AppContext
from engine.docker.cancel import Cancel
from engine.docker.types import StatsSample
from vm.errors import Cancelled, GalleyError, Problem


class StatsFeed(QObject):
    """Can be started and stopped repeatedly; `failed` reports why there are no readings."""

    arrived = Signal(object)  # Sequence[StatsSample]
    failed = Signal(object)  # Problem

    def __init__(self, app: AppContext, key: str, parent: QObject) -> None:
        super().__init__(parent)
        self._app = app
        self._key = key
        self._reader: _Reader | None = None

    @property
    def is_on(self) -> bool:
        return self._reader is not None

    def start(self) -> None:
        if self._reader is None:
            self._reader = _Reader(self, self._app, self._key)
            threading.Thread(target=self._reader.run, name="stats", daemon=True).start()

    def stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel.set()
            self._reader = None

    def take(self, reader: "_Reader", samples: Sequence[StatsSample]) -> None:
        if reader is self._reader and samples:
            self.arrived.emit(samples)

    def take_end(self, reader: "_Reader", problem: Problem | None) -> None:
        if reader is self._reader:
            self._reader = None
            if problem is not None:
                self.failed.emit(problem)


class _Reader:
    """The thread. One notification covers all waiting readings."""

    def __init__(self, owner: StatsFeed, app: AppContext, key: str) -> None:
        self.cancel = Cancel()
        self._owner = owner
        self._app = app
        self._key = key
        self._lock = threading.Lock()
        self._waiting: list[StatsSample] = []

    def run(self) -> None:
        problem = None
        try:
            for sample in self._samples():
                self._collect(sample)
        except Cancelled:
            return
        except GalleyError as error:
            problem = error.to_problem()
        self._app.tasks.invoker.invoke(lambda: self._owner.take_end(self, problem))

    def _samples(self) -> Iterator[StatsSample]:
        from engine.docker.streams import stats

        return stats(self._app.connection.client.containers, self._key, self.cancel)

    def _collect(self, sample: StatsSample) -> None:
        with self._lock:
            first = not self._waiting
            self._waiting.append(sample)
        if first:
            self._app.tasks.invoker.invoke(self._hand_on)

    def _hand_on(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, []
        self._owner.take(self, taken)
