"""CPU and memory of every container that runs.

One thread requests one reading at a time, and for none while the window is hidden or the engine
saves resources. Rows on the screen are read as often as they change; the others every half minute,
for the total and for their history, and this takes a twentieth of the thread's time at most: of
very many, or of a slow engine, each is read less often. When the list is sorted by CPU or memory,
all are read at once. Next: `readings.py`, then `engine/docker/streams.py`.
"""

import threading
import time
from collections.abc import Collection

from PySide6.QtCore import QObject, QTimer, Signal

from desktop.session.connection import Connection
from desktop.session.tasks import Tasks
from desktop.stores.readings import NEVER, SLOWEST, STALE, Readings
from desktop.stores.store import Store
from engine.docker.types import Container, ContainerState, StatsSample
from vm.errors import GalleyError

KEPT = 30  # readings for the little chart
SHARE = 0.05  # of the thread's time, for rows that are not on the screen
SHARE_FIRST = 0.3  # until each of them is known
TOLD_MS = 200  # between two signals of a change
USING = (ContainerState.RUNNING, ContainerState.PAUSED)


class Usage(QObject):
    """The latest readings. Everything but reading happens in the window's thread."""

    changed = Signal(object)  # list[str]: ids; [] when the total is too old

    def __init__(
        self,
        tasks: Tasks,
        connection: Connection,
        containers: Store[Container],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._connection = connection
        self._containers = containers
        self._lock = threading.Condition()
        self._readings: dict[str, Readings] = {}
        self._near: frozenset[str] = frozenset()
        self._all_matter = False
        self._is_seen = False
        self._rest_until = 0.0
        self._waiting: list[str] = []
        self._thread: threading.Thread | None = None
        self._ended = False
        self._telling = QTimer(self, singleShot=True, interval=TOLD_MS)
        self._telling.timeout.connect(self._hand_on)
        self._ageing = QTimer(self, singleShot=True, interval=round(1000 * STALE) + 500)
        self._ageing.timeout.connect(self._age)
        connection.changed.connect(self._wake)
        containers.changed.connect(self._follow)

    def attend(self, is_seen: bool) -> None:
        """Whether the window is on the screen: else nothing is read."""
        self._is_seen = is_seen
        self._wake()

    def watch(self, near: Collection[str], all_matter: bool = False) -> None:
        """`near`: the rows on the screen. `all_matter`: read the others at once as well, and again
        when they change."""
        now = time.monotonic()
        with self._lock:
            begins = all_matter and not self._all_matter
            self._near, self._all_matter = frozenset(near), all_matter
            for key, readings in self._readings.items():
                comes = key in self._near and not readings.is_near
                readings.is_near = key in self._near
                readings.is_urgent = all_matter and (readings.is_urgent or begins)
                if comes or begins:
                    readings.hurry(now)
            self._lock.notify()

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._ended = True
            self._lock.notify()

    def cpu(self, key: str) -> float | None:
        """Cores in use; None while it is not known."""
        found = self._fresh(key)
        return found.last.cpu if found and found.last and found.is_measured else None

    def memory(self, key: str) -> int | None:
        """Bytes in use; None while it is not known."""
        found = self._fresh(key)
        return found.last.memory if found and found.last else None

    def sparkline(self, key: str) -> tuple[float, ...]:
        """CPU of the last readings, in cores, oldest first."""
        return tuple(sample.cpu for sample in self.history(key)[-KEPT:])

    def history(self, key: str) -> tuple[StatsSample, ...]:
        """The readings of the last minutes, oldest first."""
        with self._lock:
            found = self._readings.get(key)
            return tuple(found.samples) if found else ()

    def total(self) -> tuple[float, int] | None:
        """Cores and bytes of all containers that run; None while one of them is not known."""
        now = time.monotonic()
        if not all(one.is_known(now) for one in self._readings.values()):
            return None
        latest = [one.last for one in self._readings.values() if one.last and one.is_measured]
        return sum(last.cpu for last in latest), sum(last.memory for last in latest)

    def _fresh(self, key: str) -> Readings | None:
        found = self._readings.get(key)
        return found if found and found.is_fresh(time.monotonic()) else None

    def _follow(self, _delta: object) -> None:
        """Those that run now; one that starts later does not make the total unknown at once."""
        born = time.monotonic() if self._readings and self.total() else NEVER
        wanted = {}
        for key, row in self._containers.rows.items():
            if row.state in USING:
                wanted[key] = self._readings.get(key) or self._begin(key, born)
        if wanted.keys() == self._readings.keys():
            return
        with self._lock:
            self._readings = wanted
            self._lock.notify()
        if wanted and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
            self._thread.start()

    def _begin(self, key: str, born: float) -> Readings:
        made = Readings(born)
        made.is_near, made.is_urgent = key in self._near, self._all_matter
        return made

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify()

    # The thread

    def _run(self) -> None:
        from engine.docker.streams import stats_once

        while (found := self._next()) is not None:
            key, readings = found
            begun = time.monotonic()
            try:
                sample = stats_once(self._connection.client.containers, key)
            except GalleyError:
                readings.fail(time.monotonic())
                continue
            now = time.monotonic()
            if not (readings.is_near or readings.is_urgent):
                share = SHARE if readings.is_measured else SHARE_FIRST
                self._rest_until = now + (now - begun) * (1 / share - 1)
            with self._lock:
                slowly = not (readings.is_near or self._all_matter)
                differs = readings.take(sample, now, slowly)
            if differs:
                self._tell(key)

    def _next(self) -> tuple[str, Readings] | None:
        """Wait until one is due; None when it is over."""
        with self._lock:
            while not self._ended:
                if not self._readings or not self._is_seen:
                    self._lock.wait()
                elif not self._connection.is_up or self._connection.is_asleep:
                    self._lock.wait(SLOWEST)
                else:
                    key, readings = min(
                        self._readings.items(), key=lambda item: (self._due(item[1]), item[1].due)
                    )
                    left = self._due(readings) - time.monotonic()
                    if left <= 0:
                        return key, readings
                    self._lock.wait(left)
        return None

    def _due(self, readings: Readings) -> float:
        if readings.is_near or readings.is_urgent:
            return readings.due
        return max(readings.due, self._rest_until)

    def _tell(self, key: str) -> None:
        with self._lock:
            self._waiting.append(key)
            is_first = len(self._waiting) == 1
        if is_first:
            self._tasks.invoker.invoke(self._telling.start)

    def _hand_on(self) -> None:
        with self._lock:
            keys, self._waiting = self._waiting, []
        self._ageing.start()
        self.changed.emit(keys)

    def _age(self) -> None:
        self.changed.emit([])
        if self.total() is not None:
            self._ageing.start()
