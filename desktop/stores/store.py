"""One list of the engine's objects: loaded, invalidated by events, compared by key.

event → invalidate() → (debounce) → fetch in a pool thread → keyed diff → changed(Delta)

An event during a load causes one more load, never two. Rows stay while the engine is away, so that
the window can show them grey.
"""

from collections.abc import Callable, Iterable

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from desktop.session.tasks import Tasks
from vm.errors import Problem

DEBOUNCE_MS = 40


class Delta(msgspec.Struct, frozen=True):
    """Keys that were added, changed and removed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def difference[Row](old: dict[str, Row], new: dict[str, Row]) -> Delta:
    return Delta(
        tuple(key for key in new if key not in old),
        tuple(key for key, row in new.items() if key in old and old[key] != row),
        tuple(key for key in old if key not in new),
    )


class Store[Row](QObject):
    """`rows` by key, in the engine's order. `busy`: the operation on a row, as a word."""

    changed = Signal(object)  # Delta
    loaded = Signal()  # after every load, also one that changed nothing

    def __init__(
        self,
        tasks: Tasks,
        fetch: Callable[[], Iterable[Row]],
        key: Callable[[Row], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.rows: dict[str, Row] = {}
        self.busy: dict[str, str] = {}
        self.is_loaded = False
        self.problem: Problem | None = None
        self._tasks = tasks
        self._fetch = fetch
        self._key = key
        self._era = 0
        self._loading = False
        self._again = False
        self._settled: set[str] = set()
        self._timer = QTimer(self, singleShot=True, interval=DEBOUNCE_MS)
        self._timer.timeout.connect(self.load)

    def invalidate(self) -> None:
        """Load soon; many calls are one load."""
        if not self._timer.isActive():
            self._timer.start()

    def load(self) -> None:
        """Load now."""
        if self._loading:
            self._again = True
            return
        self._loading, self._again, era = True, False, self._era
        self._tasks.quietly(
            lambda: {self._key(row): row for row in self._fetch()},
            lambda rows: self._arrive(era, rows),
            lambda problem: self._fail(era, problem),
        )

    def forget(self) -> None:
        """Drop the rows after a switch to another engine."""
        self._era += 1
        self._loading = self._again = False
        self.is_loaded, self.problem = False, None
        gone = Delta(removed=tuple(self.rows))
        self.rows, self.busy = {}, {}
        if gone:
            self.changed.emit(gone)

    def show_early(self, rows: Iterable[Row]) -> None:
        """Rows from elsewhere, until the first load."""
        if not self.is_loaded and not self.rows:
            self.rows = {self._key(row): row for row in rows}
            self.is_loaded = True
            self.changed.emit(Delta(added=tuple(self.rows)))
            self.loaded.emit()

    def set_busy(self, key: str, word: str) -> None:
        """Show an operation on a row at once; "" when it is over."""
        if word:
            self.busy[key] = word
        elif self.busy.pop(key, None) is None:
            return
        if key in self.rows:
            self.changed.emit(Delta(changed=(key,)))

    def settle(self, key: str) -> None:
        """The operation is done: its word stays until the next load shows the result."""
        self._settled.add(key)
        self.load()

    def _arrive(self, era: int, rows: dict[str, Row]) -> None:
        if era != self._era:
            return
        self._loading = False
        delta = difference(self.rows, rows)
        if not self._again and self._settled:
            over = [key for key in self._settled if self.busy.pop(key, None) and key in rows]
            self._settled.clear()
            delta = Delta(delta.added, tuple({*delta.changed, *over}), delta.removed)
        self.rows, self.is_loaded, self.problem = rows, True, None
        if delta:
            self.changed.emit(delta)
        self.loaded.emit()
        if self._again:
            self.load()

    def _fail(self, era: int, problem: Problem) -> None:
        if era != self._era:
            return
        self._loading, self.problem = False, problem
        self.loaded.emit()
        if self._again:
            self.load()
