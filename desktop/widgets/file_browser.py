"""Folders and files of a container or a volume.

It gets two callables that run in a worker thread: `list_folder(path, cancel)` and `read(path)`, the
first `LIMIT` bytes of a file. Paths are absolute, "/" is the top. A page may add buttons to `bar`,
and read the selection. Next: `desktop/models/files.py`.
"""

import posixpath
from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QStackedWidget,
    QWidget,
)

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import plural, size, tr
from desktop.models.files import MODE, MODIFIED, NAME, SIZE, FilesModel
from desktop.theme.theme import monospace
from desktop.widgets.basics import button, column, holder, icon_button, label, row
from desktop.widgets.empty import Empty
from desktop.widgets.levels import step_out_of
from desktop.widgets.list.tree import Tree
from desktop.widgets.path_bar import PathBar
from engine.docker.cancel import Cancel
from engine.docker.types import FileEntry
from vm.errors import Problem

LIMIT = 1024 * 1024  # bytes of a file that are shown
WIDTHS = {SIZE: 100, MODE: 110, MODIFIED: 150}

type ListFolder = Callable[[str, Cancel], Sequence[FileEntry]]
type ReadFile = Callable[[str], bytes]


class FileBrowser(QWidget):
    """`folder_changed`: another folder is shown. `leave` cancels what is under way."""

    folder_changed = Signal(str)

    def __init__(
        self, app: AppContext, list_folder: ListFolder, read: ReadFile, invitation: str = ""
    ) -> None:
        super().__init__()
        self.folder = "/"
        self.file = ""  # the path of the file that is shown, "" for none
        self._app = app
        self._list, self._read = list_folder, read
        self._cancel = Cancel()
        self._wanted = ""  # the name to be chosen once the folder is listed
        self.model = FilesModel(app.theme)
        self.model.setParent(self)
        self.all: Sequence[FileEntry] = ()  # of the folder, also what the filter hides
        self.path_bar = PathBar(app.theme)
        self.path_bar.wanted.connect(self._go)
        self.path_bar.left.connect(lambda: self._shown.setFocus())
        self.path = self.path_bar.field
        self.filter = QLineEdit(placeholderText=tr("Filter"), clearButtonEnabled=True)
        self.filter.setAccessibleName(tr("Filter the files"))
        self.filter.setMinimumWidth(110)
        self.filter.setMaximumWidth(160)
        self.filter.textChanged.connect(self._filter)
        self.up_button = icon_button(app.theme, "up", tr("Folder above"), self.up)
        again = icon_button(app.theme, "refresh", tr("Read the folder again"), self.refresh)
        self.bar = row(self.up_button, self.path_bar, again, self.filter)
        self.bar.setStretch(1, 1)
        self.note = label("", "secondary")
        self.table = self._make_table()
        self._make_viewer()
        self.empty = Empty(
            app.theme,
            "folder",
            tr("Empty folder"),
            invitation or tr("This folder has no files."),
        )
        self.failure = Failure(app, self.refresh)
        self.stack = QStackedWidget()
        for widget in (self.table, self.empty, self.failure, self.viewer):
            self.stack.addWidget(widget)
        for widget in (self.empty, self.failure):
            widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(self)
        self.setLayout(column(self.bar, self.stack, self.note))
        self.setFocusProxy(self.table)

    def _make_table(self) -> Tree:
        table = Tree()
        table.setObjectName("files")
        table.setProperty("kind", "plain")
        table.setModel(self.model)
        table.setAccessibleName(tr("Files"))
        table.setRootIsDecorated(False)
        table.setUniformRowHeights(True)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = table.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for place, width in WIDTHS.items():
            header.resizeSection(place, width)
        table.setSortingEnabled(True)
        header.setSortIndicator(NAME, Qt.SortOrder.AscendingOrder)
        table.doubleClicked.connect(lambda _index: self.open_current())
        table.installEventFilter(self)
        return table

    def _make_viewer(self) -> None:
        self.name = label()
        self.name.setProperty("kind", "heading")
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setFont(monospace())
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(tr("The file"))
        self.text.installEventFilter(self)
        close = button(tr("Back to the folder"), self.close_file, "link")
        self.viewer = holder(column(row(self.name, 1, close), self.text))

    # For pages

    def selected(self) -> list[tuple[str, FileEntry]]:
        """Path and entry of the selection."""
        rows = self.table.selectionModel().selectedRows()
        entries = (self.model.entry(index) for index in rows)
        return [(self._beside(entry.name), entry) for entry in entries if entry is not None]

    def open_folder(self, path: str, choose: str = "") -> None:
        """Show this folder, and select an entry; the old one stays until the new one is read."""
        self._wanted = choose
        path = posixpath.normpath("/" + path.strip()).replace("//", "/")
        self._cancel.set()
        self._cancel = cancel = Cancel()
        self.path_bar.show_path(path)
        self.up_button.setEnabled(path != "/")
        self.note.setText(tr("Reading {path}…", path=path))
        self._app.tasks.quietly(
            partial(self._list, path, cancel),
            partial(self._show_folder, cancel, path),
            partial(self._fail, cancel),
        )

    def refresh(self) -> None:
        """Read the current folder again, and keep the selection."""
        entry = self.model.entry(self.table.currentIndex())
        failed = self.stack.currentWidget() is self.failure
        path = self.path_bar.path if failed else self.folder
        self.open_folder(path, entry.name if entry is not None else "")

    def up(self) -> None:
        path = self.path_bar.path
        self.open_folder(posixpath.dirname(path), posixpath.basename(path))

    def leave(self) -> None:
        self._cancel.set()

    def close_file(self) -> None:
        """From a file back to its folder."""
        self.file = ""
        self.path_bar.show_path(self.folder)
        self._show_entries()
        self.table.setFocus()

    def step_out(self) -> bool:
        """Esc: out of the filter, then from a file to its folder, then the folder whole again."""
        if self._shown is self.text and not self.filter.hasFocus():
            self.close_file()
            return True
        return step_out_of(self.filter, self._shown)

    # Inside

    @property
    def _shown(self) -> QWidget:
        """The widget that gets the keys."""
        shown = self.stack.currentWidget() or self.table
        return self.text if shown is self.viewer else shown

    def _beside(self, name: str) -> str:
        return posixpath.join(self.folder, name)

    def _go(self, path: str) -> None:
        """The user has typed a path, or pressed a part of it."""
        self._shown.setFocus()
        self.open_folder(path)

    def _filter(self, text: str) -> None:
        words = text.casefold().strip()
        self.model.show([entry for entry in self.all if words in entry.name.casefold()])
        self._say_count()

    def _show_folder(self, cancel: Cancel, path: str, entries: Sequence[FileEntry]) -> None:
        if cancel.is_set:
            return
        self.folder, self.file = path, ""
        has_focus = self._has_focus()
        self.all = entries
        self.filter.clear()
        self._filter("")
        self._show_entries()
        place = max(0, self.model.place(self._wanted))
        self._wanted = ""
        if entries:
            self.table.setCurrentIndex(self.model.index(place, NAME))
        if has_focus:
            (self.table if entries else self.empty).setFocus()
        self.folder_changed.emit(path)

    def _show_entries(self) -> None:
        self._say_count()
        self.stack.setCurrentWidget(self.table if self.all else self.empty)

    def _say_count(self) -> None:
        count = len(self.model.entries)
        self.note.setText(plural("%n entries", "%n entry", count))

    def _fail(self, cancel: Cancel, problem: Problem) -> None:
        if cancel.is_set:
            return
        has_focus = self._has_focus()
        self.note.setText("")
        self.failure.show_problem(problem)
        self.stack.setCurrentWidget(self.failure)
        if has_focus:
            self.failure.setFocus()

    def _has_focus(self) -> bool:
        """Whether keys are for the entries: not while a path is typed, nor elsewhere."""
        widget = QApplication.focusWidget()
        return widget is None or self.stack.isAncestorOf(widget) or widget is self.up_button

    def open_current(self) -> None:
        entry = self.model.entry(self.table.currentIndex())
        if entry is None:
            return
        path = self._beside(entry.name)
        if entry.kind == "folder":
            self.open_folder(path)
        elif entry.kind in ("file", "link"):
            self._open_file(path, entry)

    def _open_file(self, path: str, entry: FileEntry) -> None:
        self._cancel.set()
        self._cancel = cancel = Cancel()
        self.note.setText(tr("Reading {path}…", path=path))
        self._app.tasks.quietly(
            partial(self._read, path),
            partial(self._show_file, cancel, path, entry),
            partial(self._fail_file, cancel, path, entry),
        )

    def _show_file(self, cancel: Cancel, path: str, entry: FileEntry, content: bytes) -> None:
        if cancel.is_set:
            return
        self.file = path
        self.path_bar.show_path(path)
        self.name.setText(entry.name)
        text, note = _legible(content, entry)
        self.text.setPlainText(text)
        self.text.setPlaceholderText(note if not text and content else "")
        self.note.setText(note)
        self.stack.setCurrentWidget(self.viewer)
        self.text.setFocus()

    def _fail_file(self, cancel: Cancel, path: str, entry: FileEntry, problem: Problem) -> None:
        """A link may lead to a folder; other errors are shown in place of the text."""
        if cancel.is_set:
            return
        if entry.kind == "link":
            self.open_folder(path)
        else:
            self.note.setText(messages.told(problem))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        if event.key() == Qt.Key.Key_Backspace:
            self.close_file() if watched is self.text else self.up()
            return True
        if watched is self.table and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.open_current()
            return True
        return False


class Failure(QWidget):
    """Why a folder cannot be shown, and the way to try again."""

    def __init__(self, app: AppContext, again: Callable[[], object]) -> None:
        super().__init__()
        self.summary = label("", "error", wrap=True, select=True)
        self.hint = label("", "secondary", wrap=True)
        retry = button(tr("Try again"), again)
        center = Qt.AlignmentFlag.AlignHCenter
        for one in (self.summary, self.hint):
            one.setAlignment(center)
        self.setLayout(column(2, self.summary, self.hint, row(1, retry, 1), 3))
        app.theme.changed.connect(self.update)

    def show_problem(self, problem: Problem) -> None:
        self.summary.setText(messages.summary(problem))
        self.hint.setText(messages.hint(problem))


def _legible(content: bytes, entry: FileEntry) -> tuple[str, str]:
    """The text of a file, and a note on it."""
    if b"\0" in content[:8192]:
        return "", tr("This is not a text file ({size}).", size=size(entry.size))
    text = content.decode("utf-8", "replace")
    if len(content) >= LIMIT:
        return text, tr("Only the first {size} are shown.", size=size(LIMIT))
    return text, size(len(content))
