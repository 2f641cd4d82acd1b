"""JSON as a tree of keys and values, made as it is opened.

A node's path is written as `jq` reads it: `.HostConfig.PortBindings."80/tcp"[0].HostPort`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, Qt

from desktop.i18n.text import plural, tip, tr
from desktop.models.rows import NOWHERE, Index
from desktop.theme.theme import Theme, monospace

KEY, VALUE = 0, 1
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COLORS = {str: "running", bool: "accent", int: "accent", float: "accent", type(None): "exited"}


class Node:
    """`children` is None until they are needed."""

    def __init__(self, key: str | int, value: Any, parent: "Node | None", row: int) -> None:
        self.key = key
        self.value = value
        self.parent = parent
        self.row = row
        self.children: list[Node] | None = None

    @property
    def is_branch(self) -> bool:
        return isinstance(self.value, dict | list) and bool(self.value)

    def filled(self) -> "list[Node]":
        if self.children is None:
            pairs = enumerate(pairs_of(self.value))
            self.children = [Node(key, value, self, row) for row, (key, value) in pairs]
        return self.children

    @property
    def path(self) -> str:
        keys: list[str | int] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            keys.insert(0, node.key)
            node = node.parent
        return jq_path(keys)


def pairs_of(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def jq_path(keys: list[str | int]) -> str:
    found = ""
    for key in keys:
        if isinstance(key, int):
            found += f"[{key}]" if found else f".[{key}]"
        else:
            found += f".{key}" if PLAIN.fullmatch(key) else f".{json.dumps(key)}"
    return found or "."


def value_text(value: Any) -> str:
    """As it is copied: a string without quotes, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def matches(value: Any, words: str, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every entry whose key or value has `words` in it."""
    for key, inner in pairs_of(value):
        here = (*keys, key)
        text = key if isinstance(key, str) else ""
        if not isinstance(inner, dict | list):
            text = f"{text}\n{shown_text(inner)}"
        if words in text.casefold():
            yield here
        yield from matches(inner, words, here)


def shown_text(value: Any) -> str:
    match value:
        case dict():
            return plural("%n keys", "%n key", len(value)) if value else "{}"
        case list():
            return plural("%n items", "%n item", len(value)) if value else "[]"
        case str():
            return value
    return json.dumps(value)


class JsonModel(QAbstractItemModel):
    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self.root = Node("", {}, None, 0)
        self._theme = theme

    def fill(self, value: Any) -> None:
        self.beginResetModel()
        self.root = Node("", value, None, 0)
        self.endResetModel()

    def node(self, index: Index) -> Node:
        found = index.internalPointer() if index.isValid() else None
        return found if isinstance(found, Node) else self.root

    def index_of(self, keys: tuple[str | int, ...]) -> QModelIndex:
        """Where these keys lead."""
        index, node = NOWHERE, self.root
        for key in keys:
            found = next((one for one in node.filled() if one.key == key), None)
            if found is None:
                return NOWHERE
            index, node = self.index(found.row, KEY, index), found
        return index

    def index(self, row: int, column: int, parent: Index = NOWHERE) -> QModelIndex:
        children = self.node(parent).filled()
        if not 0 <= row < len(children):
            return NOWHERE
        return self.createIndex(row, column, children[row])

    def parent(self, index: Index = NOWHERE) -> QModelIndex:  # type: ignore[override] # Qt has two
        above = self.node(index).parent
        if above is None or above is self.root:
            return NOWHERE
        return self.createIndex(above.row, KEY, above)

    def hasChildren(self, parent: Index = NOWHERE) -> bool:  # noqa: N802
        return self.node(parent).is_branch and parent.column() <= 0

    def rowCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return len(self.node(parent).filled()) if parent.column() <= 0 else 0

    def columnCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        del parent
        return 2

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (tr("Key"), tr("Value"))[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        node = self.node(index)
        match role:
            case Qt.ItemDataRole.DisplayRole if index.column() == KEY:
                return str(node.key)
            case Qt.ItemDataRole.DisplayRole:
                return shown_text(node.value).replace("\n", "↵ ")
            case Qt.ItemDataRole.ToolTipRole:
                text = node.path if index.column() == KEY else shown_text(node.value)[:2000]
                return tip(text)
            case Qt.ItemDataRole.FontRole if index.column() == VALUE:
                return monospace()
            case Qt.ItemDataRole.ForegroundRole if index.column() == VALUE:
                return self._theme.color(COLORS.get(type(node.value), "secondary"))
        return None
