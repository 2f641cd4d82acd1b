"""The files that one layer adds, on request.

The engine must export the whole image to list them, so it is a task that can be cancelled, and ends
when the panel is closed. A layer of many thousand files is a model, not as many items.
"""

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import (
    QHeaderView,
    QLineEdit,
    QStackedWidget,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import plural, size, tip, tr
from desktop.session.tasks import Task
from desktop.theme.theme import Theme, monospace
from desktop.widgets.basics import button, column, holder, icon_button, label, row
from engine.docker.types import FileEntry, Layer
from vm.errors import Problem

type Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
KEPT = 8  # layers whose files are remembered


class LayerFiles(QAbstractTableModel):
    """Path and size, sorted by size, or as the user chooses."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._all: Sequence[FileEntry] = ()
        self._shown: list[FileEntry] = []
        self._word = ""
        self._column, self._descending = 1, True

    def fill(self, files: Sequence[FileEntry]) -> None:
        self._all = files
        self._arrange()

    def set_filter(self, text: str) -> None:
        self._word = text.casefold().strip()
        self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._arrange()

    def rowCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else 2

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (tr("Path"), tr("Size"))[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section == 1:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        entry = self._shown[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _path(entry) if index.column() == 0 else _size(entry)
            case Qt.ItemDataRole.ToolTipRole:
                return tip(_path(entry))
            case Qt.ItemDataRole.FontRole:
                return monospace()
            case Qt.ItemDataRole.ForegroundRole if entry.kind == "deleted":
                return self._theme.color("error")
            case Qt.ItemDataRole.ForegroundRole if entry.kind == "link":
                return self._theme.color("secondary")
            case Qt.ItemDataRole.TextAlignmentRole if index.column() == 1:
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _arrange(self) -> None:
        self.beginResetModel()
        found = [entry for entry in self._all if self._word in entry.name.casefold()]
        found.sort(key=lambda entry: entry.name)
        if self._column == 1:
            found.sort(key=lambda entry: entry.size, reverse=self._descending)
        elif self._descending:
            found.reverse()
        self._shown = found
        self.endResetModel()


class LayerFilesPanel(QWidget):
    """Shown beside the layers. `closed` is called when its cross is pressed."""

    def __init__(self, app: AppContext, image: str, closed: Callable[[], object]) -> None:
        super().__init__()
        self._app = app
        self._image = image
        self._known: dict[str, Sequence[FileEntry]] = {}
        self._layer: Layer | None = None
        self.task: Task | None = None
        self.model = LayerFiles(app.theme)
        self.title = label("", "heading")
        self.count = label("", "secondary")
        self.filter = QLineEdit(placeholderText=tr("Filter"), clearButtonEnabled=True)
        self.filter.setAccessibleName(tr("Filter the files"))
        self.filter.textChanged.connect(self.model.set_filter)
        self.view = self._make_view()
        self._waiting = label("", "secondary", wrap=True)
        self._waiting.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._cancel = button(tr("Cancel"), self._give_up)
        self._again = button(tr("Try again"), self._ask)
        middle = Qt.AlignmentFlag.AlignHCenter
        waiting = column(1, self._waiting, gap=10)
        for one in (self._cancel, self._again):
            waiting.addWidget(one, 0, middle)
        waiting.addStretch(2)
        self._stack = QStackedWidget()
        for widget in (self.view, holder(waiting)):
            self._stack.addWidget(widget)
        close = icon_button(app.theme, "close", tr("Close the list of files"), closed)
        head = row(column(self.title, self.count, gap=2), 1, close)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addLayout(head)
        box.addWidget(self.filter)
        box.addWidget(self._stack, 1)

    def _make_view(self) -> QTreeView:
        view = QTreeView()
        view.setProperty("kind", "padded")
        view.setModel(self.model)
        view.setAccessibleName(tr("Files of the layer"))
        view.setRootIsDecorated(False)
        view.setUniformRowHeights(True)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(1, 116)
        view.setSortingEnabled(True)
        header.setSortIndicator(1, Qt.SortOrder.DescendingOrder)
        return view

    def show_layer(self, layer: Layer) -> None:
        self.stop()
        self._layer = layer
        self.title.setText(tr("Files of this layer"))
        self.title.setToolTip(tip(layer.instruction))
        known = self._known.get(layer.diff_id)
        if known is None:
            self._ask()
        else:
            self._show(known)

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel.set()
            self.task = None

    def _ask(self) -> None:
        layer = self._layer
        assert layer is not None
        self._wait(tr("Reading the layer. The engine exports the whole image for this."), True)

        def work(task: Task) -> tuple[FileEntry, ...]:
            client = self._app.connection.client
            return client.images.layer_files(self._image, layer.diff_id, task.cancel)

        def done(files: tuple[FileEntry, ...]) -> None:
            while len(self._known) >= KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[layer.diff_id] = files
            if self._layer is layer:
                self.task = None
                self._show(files)

        def failed(problem: Problem) -> bool:
            if self._layer is layer:
                self.task = None
                self._wait(messages.told(problem, "\n"), False)
            return True

        self.task = self._app.tasks.start(tr("List the files of a layer"), work, done, failed)

    def _give_up(self) -> None:
        self.stop()
        self._wait(tr("This was cancelled."), False)

    def _wait(self, words: str, going: bool) -> None:
        self.count.setText("")
        self._waiting.setText(words)
        self._cancel.setVisible(going)
        self._again.setVisible(not going)
        self.filter.setEnabled(False)
        self._stack.setCurrentIndex(1)

    def _show(self, files: Sequence[FileEntry]) -> None:
        shown = [entry for entry in files if entry.kind != "folder"]
        gone = sum(entry.kind == "deleted" for entry in shown)
        words = plural("%n files", "%n file", len(shown) - gone)
        if gone:
            words += " · " + plural("%n deleted", "%n deleted", gone)
        self.count.setText(words)
        self.filter.setEnabled(True)
        self.model.fill(shown)
        self._stack.setCurrentIndex(0)


def _path(entry: FileEntry) -> str:
    return f"{entry.name} → {entry.target}" if entry.target else entry.name


def _size(entry: FileEntry) -> str:
    if entry.kind == "deleted":
        return tr("deleted")
    return tr("link") if entry.kind == "link" else size(entry.size)
