"""CPU and memory of the containers that are looked at. May import: PySide6, `tasks`, `connection`.

One thread asks for one reading at a time, of the rows that are on the screen, and of none while the
window is hidden. A container whose figures do not move is asked less and less often, so that an
idle window costs next to nothing. Next: `engine/docker/streams.py`.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

import msgspec
from PySide6.QtCore import QObject, Signal

from desktop.connection import Connection
from desktop.tasks import Tasks
from engine.docker.types import StatsSample
from vm.errors import GalleyError

FIRST, FASTEST, SLOWEST = 0.7, 2.0, 30.0  # seconds between two readings of a container
SHORT = 3  # readings, of which each is a visible step
KEPT = 30  # readings for the little chart
MOVED = 0.005  # of a core, or 2 % of memory: worth a look again soon


class _Watched:
    def __init__(self) -> None:
        self.due = 0.0
        self.pause = FIRST
        self.last: StatsSample | None = None
        self.cpu: deque[float] = deque(maxlen=KEPT)


class Usage(QObject):
    """The latest readings. `watch` says whose; an empty list stops it."""

    changed = Signal(object)  # list[str]: ids

    def __init__(self, tasks: Tasks, connection: Connection, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._connection = connection
        self._lock = threading.Condition()
        self._wanted: dict[str, _Watched] = {}
        self._thread: threading.Thread | None = None
        self._ended = False
        connection.changed.connect(self._wake)

    def watch(self, ids: Sequence[str]) -> None:
        """Read these from now on. In the window's thread."""
        with self._lock:
            self._wanted = {key: self._wanted.get(key) or _Watched() for key in ids}
            self._lock.notify()
        if ids and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
            self._thread.start()

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify()

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._ended = True
            self._lock.notify()

    def latest(self, key: str) -> StatsSample | None:
        watched = self._wanted.get(key)
        return watched.last if watched else None

    def course(self, key: str) -> tuple[float, ...]:
        """CPU of the last readings, in cores, oldest first."""
        watched = self._wanted.get(key)
        return tuple(watched.cpu) if watched else ()

    def total(self) -> tuple[float, int]:
        """Cores and bytes of all that are watched."""
        readings = [one.last for one in self._wanted.values() if one.last]
        return sum(one.cpu for one in readings), sum(one.memory for one in readings)

    def _run(self) -> None:
        from engine.docker.streams import stats_once

        while (found := self._next()) is not None:
            key, watched = found
            try:
                sample = stats_once(self._connection.client.containers, key)
            except GalleyError:
                watched.due = time.monotonic() + SLOWEST
                continue
            if self._take(watched, sample):
                self._tasks.bell.ring(partial(self.changed.emit, [key]))

    def _next(self) -> tuple[str, _Watched] | None:
        """Wait until somebody is due; None when it is over."""
        with self._lock:
            while not self._ended:
                due = min(self._wanted.items(), key=lambda item: item[1].due, default=None)
                if due is None or not self._connection.is_up or self._connection.is_asleep:
                    self._lock.wait(None if due is None else SLOWEST)
                    continue
                left = due[1].due - time.monotonic()
                if left <= 0:
                    return due
                self._lock.wait(left)
        return None

    def _take(self, watched: _Watched, sample: StatsSample) -> bool:
        """Whether it looks different now."""
        last = watched.last
        if last is None or sample.time <= last.time:
            watched.last, watched.pause = sample, FIRST
        else:
            used = (sample.cpu_seconds - last.cpu_seconds) / (sample.time - last.time)
            sample = msgspec.structs.replace(sample, cpu=max(0.0, used))
            watched.last = sample
            watched.cpu.append(sample.cpu)
            moved = abs(sample.cpu - last.cpu) > MOVED
            moved = moved or abs(sample.memory - last.memory) > 0.02 * max(last.memory, 1)
            watched.pause = FASTEST if moved else min(max(watched.pause, FASTEST) * 2, SLOWEST)
        watched.due = time.monotonic() + watched.pause
        return last is None or _shown(sample) != _shown(last) or len(watched.cpu) < SHORT


def _shown(sample: StatsSample) -> tuple[float, int]:
    """As exact as the list says it."""
    return round(sample.cpu, 3), round(sample.memory, -5)
