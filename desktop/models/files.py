"""The entries of one folder as a Qt model, folders first.

Next: `desktop/widgets/file_browser.py`, which shows it.
"""

import stat
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt

from desktop.i18n.text import moment, size, tip, tr
from desktop.theme import icons
from desktop.theme.theme import Theme, monospace
from engine.docker.types import FileEntry

type Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
NAME, SIZE, MODE, MODIFIED = range(4)
HEIGHT = 28
ICONS = {"folder": "folder", "link": "link"}
KINDS = {"folder": stat.S_IFDIR, "link": stat.S_IFLNK, "file": stat.S_IFREG}


def mode_text(entry: FileEntry) -> str:
    """As `ls -l` prints it: "drwxr-xr-x"."""
    return stat.filemode(KINDS.get(entry.kind, 0) | stat.S_IMODE(entry.mode))


def modified_text(entry: FileEntry) -> str:
    return moment(entry.modified)


class FilesModel(QAbstractTableModel):
    """`entries` in the order in which they are shown."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.entries: list[FileEntry] = []
        self._theme = theme
        self._titles = (tr("Name"), tr("Size"), tr("Mode"), tr("Modified"))
        self._sorting = (NAME, Qt.SortOrder.AscendingOrder)
        theme.changed.connect(self._repaint)

    def show(self, entries: Sequence[FileEntry]) -> None:
        self.beginResetModel()
        self.entries = list(entries)
        self._arrange()
        self.endResetModel()

    def entry(self, index: Index) -> FileEntry | None:
        return self.entries[index.row()] if index.isValid() else None

    def place(self, name: str) -> int:
        return next((n for n, entry in enumerate(self.entries) if entry.name == name), -1)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sorting = (column, order)
        self.show(self.entries)

    # QAbstractTableModel

    def rowCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self.entries)

    def columnCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self._titles)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry = self.entry(index)
        if entry is None:
            return None
        column = index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(entry, column)
            case Qt.ItemDataRole.ToolTipRole if column == NAME:
                return tip(_text(entry, column))
            case Qt.ItemDataRole.DecorationRole if column == NAME:
                name = ICONS.get(entry.kind, "file")
                tint = "accent" if entry.kind == "folder" else "secondary"
                return icons.icon(name, self._theme.color(tint))
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.SizeHintRole:
                return QSize(0, HEIGHT)
            case Qt.ItemDataRole.FontRole if column != NAME:
                return monospace()
            case Qt.ItemDataRole.ForegroundRole if column != NAME:
                return self._theme.color("secondary")
        return None

    def _arrange(self) -> None:
        column, order = self._sorting
        keys = {
            NAME: lambda entry: entry.name.casefold(),
            SIZE: lambda entry: entry.size,
            MODE: mode_text,
            MODIFIED: lambda entry: entry.modified,
        }
        self.entries.sort(key=keys[column], reverse=order == Qt.SortOrder.DescendingOrder)
        self.entries.sort(key=lambda entry: entry.kind != "folder")

    def _repaint(self) -> None:
        if self.entries:
            last = self.index(len(self.entries) - 1, MODIFIED)
            self.dataChanged.emit(self.index(0, NAME), last)


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column == SIZE else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _text(entry: FileEntry, column: int) -> str:
    match column:
        case 0:
            return f"{entry.name} → {entry.target}" if entry.target else entry.name
        case 1:
            return size(entry.size) if entry.kind == "file" else ""
        case 2:
            return mode_text(entry)
    return modified_text(entry)
