"""The item model of all lists: columns as data, filter, order, groups.

The shown lines are a flat list, with headings of groups, recomputed at every change; differences to
the list before become precise row signals, so that selection and scroll position stay. A thousand
rows take about two milliseconds, without a proxy model. Next: `desktop/widgets/list/table.py`,
which draws it.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.i18n.text import natural, tip
from desktop.stores.store import Delta, Store

type Index = QModelIndex | QPersistentModelIndex
LINE_ROLE = int(Qt.ItemDataRole.UserRole) + 1
NOWHERE = QModelIndex()
# Qt calls `flags` for each row at each change; joining them there would take most of the time.
FLAGS = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
MANY = 24  # changes that are signalled one by one; more are one reset, or one range


class Cell(StrEnum):
    """How a column is drawn."""

    TEXT = "text"
    NAME = "name"  # bold, with the dot of the state before it
    MONO = "mono"
    SECONDARY = "secondary"
    NUMBER = "number"  # monospace, right
    STATE = "state"  # in the colour of the state
    LINKS = "links"
    USAGE = "usage"  # a number with its sparkline beside it
    ACTIONS = "actions"


@dataclass(frozen=True)
class Column[Row]:
    """`text` is a cell's text; `order` its sort key (default: the text). `width` is the minimum of
    one that stretches. Where there is no room for all columns, the one with the highest `leaves` is
    hidden first; 0 never."""

    title: str
    text: Callable[[Row], str]
    width: int
    cell: Cell = Cell.TEXT
    order: Callable[[Row], Any] | None = None
    stretch: bool = False
    heading: Callable[["Heading"], str] | None = None  # a heading's text in this column
    leaves: int = 0
    narrow: int = 0  # the width without the little chart, which goes before any column
    is_live: bool = False  # changes while the row stays as it is

    @property
    def is_number(self) -> bool:
        return self.cell in (Cell.NUMBER, Cell.USAGE)

    def key(self, row: Row) -> Any:
        """The sort key of a row."""
        return self.order(row) if self.order else natural(self.text(row))


@dataclass(frozen=True)
class Heading:
    """The line above a group's rows. `rows` are those that the filter lets through, of `whole`."""

    key: str
    title: str
    subtitle: str
    rows: tuple[Any, ...]
    whole: int

    @property
    def is_partial(self) -> bool:
        return len(self.rows) < self.whole


@dataclass(frozen=True)
class ListLine:
    """One line of a list: a row, or the heading of a group (then `row` is None)."""

    key: str
    row: Any
    heading: Heading | None = None
    depth: int = 0


@dataclass
class View:
    """The user's filter and order of a list."""

    words: tuple[str, ...] = ()
    scope: Callable[[Any], bool] | None = None
    column: int = -1  # -1: the engine's order
    descending: bool = False
    folded: set[str] = field(default_factory=set)


class RowsModel[Row](QAbstractTableModel):
    """A store's rows as lines. `group` returns the heading of a row, None for none; `explode` makes
    several rows of one of the store's, each with a key of its own."""

    def __init__(
        self,
        store: Store[Any],
        columns: Sequence[Column[Row]],
        key: Callable[[Row], str],
        haystack: Callable[[Row], str],
        group: Callable[[Row], tuple[str, str, str] | None] | None = None,
        parent: QObject | None = None,
        explode: Callable[[Any], Sequence[Row]] | None = None,
    ) -> None:
        super().__init__(parent)
        self.store = store
        self.columns = tuple(columns)
        self.lines: list[ListLine] = []
        self.view = View()
        self._key = key
        self._haystack = haystack
        self._group = group
        self._explode = explode or (lambda row: (row,))
        self._places: dict[str, int] = {}
        self._haystacks: dict[str, tuple[object, str]] = {}
        store.changed.connect(self._follow)
        self._set_lines(self._arrange())

    # Filter, groups, order

    def set_filter(self, text: str) -> None:
        words = tuple(text.casefold().split())
        if words != self.view.words:
            self.view.words = words
            self.rearrange()

    def set_scope(self, scope: Callable[[Row], bool] | None) -> None:
        self.view.scope = scope
        self.rearrange()

    def toggle(self, key: str) -> None:
        """Fold or unfold a group."""
        self.view.folded ^= {key}
        self.rearrange({key})

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.view.column = column
        self.view.descending = order == Qt.SortOrder.DescendingOrder
        self.rearrange()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(self.columns) - 1)

    # QAbstractTableModel

    def rowCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self.columns)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._title(section) if section < len(self.columns) else None
        if role == Qt.ItemDataRole.TextAlignmentRole and section < len(self.columns):
            right = self.columns[section].is_number
            side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.lines):
            return None
        line = self.lines[index.row()]
        if role == LINE_ROLE:
            return line
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.text(line, self.columns[index.column()])
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(self.text(line, self.columns[index.column()])) or None
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        return FLAGS if index.isValid() else Qt.ItemFlag.NoItemFlags

    # For pages and tables

    @property
    def sorted_by(self) -> Column[Row] | None:
        """None in the engine's own order."""
        known = 0 <= self.view.column < len(self.columns)
        return self.columns[self.view.column] if known else None

    def text(self, line: ListLine, column: Column[Row]) -> str:
        if line.heading is not None:
            return column.heading(line.heading) if column.heading else ""
        return column.text(line.row)

    def is_folded(self, key: str) -> bool:
        """A filter shows what it finds, also in a group that was folded."""
        return key in self.view.folded and not self.view.words

    def place(self, key: str) -> int:
        """The line of a key, -1 when it is not shown."""
        return self._places.get(key, -1)

    def touch(self, keys: Sequence[str]) -> None:
        """Repaint these rows: they look different, though their data is the same."""
        for key in keys:
            place = self.place(key)
            if place >= 0:
                last = len(self.columns) - 1
                self.dataChanged.emit(self.index(place, 0), self.index(place, last))

    def rearrange(self, changed: set[str] | frozenset[str] = frozenset()) -> None:
        """Compute the lines anew, and signal the differences."""
        new = self._arrange()
        if [line.key for line in new] == [line.key for line in self.lines]:
            self._set_lines(new)
            self._signal_changed(changed)
            return
        known, wanted = set(self._places), {line.key for line in new}
        if len(known ^ wanted) > MANY:
            self.beginResetModel()
            self._set_lines(new)
            self.endResetModel()
            return
        self._remove_old(wanted)
        self._insert_new(new)
        self._move(new)
        self._signal_changed(changed)

    # Inside

    def _follow(self, delta: Delta) -> None:
        changed_rows = (self.store.rows[key] for key in delta.changed if key in self.store.rows)
        changed = {self._key(row) for one in changed_rows for row in self._explode(one)}
        if self._group is not None:  # a heading counts its rows
            touched = changed | set(delta.added) | set(delta.removed)
            rows = (self.store.rows[key] for key in touched if key in self.store.rows)
            heads = filter(None, (self._group(row) for one in rows for row in self._explode(one)))
            changed |= {key for key, _, _ in heads}
        self.rearrange(changed)

    def _arrange(self) -> list[ListLine]:
        rows = [row for row in self._rows() if self._is_wanted(row)]
        column = self.sorted_by
        if column is not None:
            rows.sort(key=column.key, reverse=self.view.descending)
        if self._group is None:
            return [ListLine(self._key(row), row) for row in rows]
        return self._grouped(rows)

    def _title(self, section: int) -> str:
        column = self.columns[section]
        if column is not self.sorted_by:
            return column.title
        return f"{column.title} {'↓' if self.view.descending else '↑'}"

    def _grouped(self, rows: list[Row]) -> list[ListLine]:
        """A group stands where its first row stands, or where its own name does."""
        assert self._group is not None
        places: dict[str, list[Row]] = {}
        heads: dict[str, tuple[str, str]] = {}
        for row in rows:
            found = self._group(row)
            key, title, subtitle = found or (self._key(row), "", "")
            places.setdefault(key, []).append(row)
            if found:
                heads[key] = (title, subtitle)
        order = list(places)
        column = self.sorted_by
        if column is not None and column.cell is Cell.NAME:
            order.sort(
                key=lambda key: (
                    natural(heads[key][0]) if key in heads else column.key(places[key][0])
                ),
                reverse=self.view.descending,
            )
        whole = self._sizes() if heads else {}
        lines: list[ListLine] = []
        for key in order:
            members = places[key]
            if key not in heads:
                lines.append(ListLine(key, members[0]))
                continue
            heading = Heading(key, *heads[key], tuple(members), whole[key])
            lines.append(ListLine(key, None, heading))
            if not self.is_folded(key):
                lines += [ListLine(self._key(row), row, depth=1) for row in members]
        return lines

    def _sizes(self) -> Counter[str]:
        """How many rows each group has without a filter."""
        assert self._group is not None
        found = filter(None, map(self._group, self._rows()))
        return Counter(key for key, _, _ in found)

    def _rows(self) -> Iterator[Row]:
        return itertools.chain.from_iterable(map(self._explode, self.store.rows.values()))

    def _is_wanted(self, row: Row) -> bool:
        if self.view.scope is not None and not self.view.scope(row):
            return False
        if not self.view.words:
            return True
        key = self._key(row)
        known, haystack = self._haystacks.get(key, (None, ""))
        if known is not row:
            haystack = self._haystack(row).casefold()
            self._haystacks[key] = (row, haystack)
        return all(word in haystack for word in self.view.words)

    def _set_lines(self, lines: list[ListLine]) -> None:
        self.lines = lines
        self._places = {line.key: place for place, line in enumerate(lines)}

    def _signal_changed(self, changed: set[str] | frozenset[str]) -> None:
        if len(changed) > MANY and self.lines:
            last = self.index(len(self.lines) - 1, len(self.columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)
            return
        self.touch([key for key in changed if key in self._places])

    def _remove_old(self, staying: set[str]) -> None:
        for place in range(len(self.lines) - 1, -1, -1):
            if self.lines[place].key not in staying:
                self.beginRemoveRows(NOWHERE, place, place)
                del self.lines[place]
                self.endRemoveRows()

    def _insert_new(self, new: list[ListLine]) -> None:
        known = {line.key for line in self.lines}
        for place, line in enumerate(new):
            if line.key not in known:
                where = min(place, len(self.lines))
                self.beginInsertRows(NOWHERE, where, where)
                self.lines.insert(where, line)
                self.endInsertRows()

    def _move(self, new: list[ListLine]) -> None:
        if [line.key for line in new] == [line.key for line in self.lines]:
            self._set_lines(new)
            return
        self.layoutAboutToBeChanged.emit()
        old = self.lines
        self._set_lines(new)
        before = self.persistentIndexList()
        after = [self.index(self._places[old[index.row()].key], index.column()) for index in before]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()
