"""`RowsModel` agrees with its store after every change, and passes `QAbstractItemModelTester`."""

import random
from collections.abc import Iterable

import msgspec
import pytest
from PySide6.QtCore import QObject, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from desktop.models.rows import MANY, Cell, Column, Heading, RowsModel
from desktop.session.tasks import Tasks
from desktop.stores.store import Store, difference


class Thing(msgspec.Struct, frozen=True):
    id: str
    word: str
    group: str = ""


COLUMNS = (
    Column[Thing]("Id", lambda row: row.id, 100, Cell.NAME, heading=lambda h: h.title),
    Column[Thing]("Word", lambda row: row.word, 100),
    Column[Thing]("", lambda row: "", 100, Cell.ACTIONS),
)


def grouped(row: Thing) -> tuple[str, str, str] | None:
    return (f"group:{row.group}", row.group, "") if row.group else None


@pytest.fixture
def store(qapp: QApplication) -> Store[Thing]:
    tasks = Tasks(qapp)
    return Store(tasks, lambda: (), lambda row: row.id, tasks)


@pytest.fixture
def model(store: Store[Thing]) -> RowsModel[Thing]:
    made = RowsModel(
        store, COLUMNS, lambda row: row.id, lambda row: f"{row.id} {row.word}", grouped, store
    )
    QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal, made)
    return made


def put(store: Store[Thing], things: Iterable[Thing]) -> None:
    rows = {thing.id: thing for thing in things}
    delta = difference(store.rows, rows)
    store.rows = rows
    if delta:
        store.changed.emit(delta)


def shown(model: RowsModel[Thing]) -> list[str]:
    return [line.key for line in model.lines]


@pytest.mark.parametrize("seed", range(8))
def test_a_changed_model_equals_a_fresh_one(
    store: Store[Thing], model: RowsModel[Thing], seed: int
) -> None:
    rng = random.Random(seed)
    for _round in range(60):
        ids = rng.sample(range(40), rng.randint(0, 30))
        groups = ("", "a", "b")
        put(store, [Thing(f"{n:02}", rng.choice("xyz"), rng.choice(groups)) for n in ids])
        match rng.randint(0, 6):
            case 0:
                model.set_filter(rng.choice(["", "x", "0", "1 y"]))
            case 1:
                model.sort(rng.choice([-1, 0, 1]), rng.choice(list(Qt.SortOrder)))
            case 2:
                model.toggle("group:a")
        fresh = RowsModel(
            store, COLUMNS, lambda row: row.id, lambda row: f"{row.id} {row.word}", grouped
        )
        fresh.view = model.view
        fresh.rearrange()
        assert shown(model) == shown(fresh)
        assert [model.place(key) for key in shown(model)] == list(range(len(model.lines)))


def test_one_change_is_one_signal(store: Store[Thing], model: RowsModel[Thing]) -> None:
    put(store, [Thing(f"{n}", "x") for n in range(100)])
    signals = Signals(model)
    put(store, [Thing(f"{n}", "changed" if n == 40 else "x") for n in range(100)])
    assert signals.rows == [40]
    assert signals.resets == 0


def test_one_new_row_is_one_insertion(store: Store[Thing], model: RowsModel[Thing]) -> None:
    put(store, [Thing(f"{n}", "x") for n in range(100)])
    signals = Signals(model)
    put(store, [Thing("new", "x"), *(Thing(f"{n}", "x") for n in range(100))])
    assert (signals.inserted, signals.rows, signals.resets) == (1, [], 0)


def test_many_new_rows_are_one_reset(store: Store[Thing], model: RowsModel[Thing]) -> None:
    signals = Signals(model)
    put(store, [Thing(f"{n}", "x") for n in range(MANY + 50)])
    assert (signals.inserted, signals.resets) == (0, 1)


def test_a_heading_has_the_changed_rows(store: Store[Thing], model: RowsModel[Thing]) -> None:
    put(store, [Thing("1", "x", "a"), Thing("2", "x", "a")])
    put(store, [Thing("1", "x", "a"), Thing("2", "y", "a")])
    heading = model.lines[0].heading
    assert isinstance(heading, Heading)
    assert [row.word for row in heading.rows] == ["x", "y"]


def test_the_words_of_a_filter_match_in_any_order(
    store: Store[Thing], model: RowsModel[Thing]
) -> None:
    put(store, [Thing("alpha", "one"), Thing("beta", "two"), Thing("gamma", "ONE two")])
    model.set_filter("two one")
    assert shown(model) == ["gamma"]


class Signals(QObject):
    """Records the signals of the model."""

    def __init__(self, model: RowsModel[Thing]) -> None:
        super().__init__(model)
        self.rows: list[int] = []
        self.inserted = self.resets = 0
        model.dataChanged.connect(lambda first, *_: self.rows.append(first.row()))
        model.rowsInserted.connect(lambda *_: self._insert())
        model.modelReset.connect(lambda: self._reset())

    def _insert(self) -> None:
        self.inserted += 1

    def _reset(self) -> None:
        self.resets += 1
