"""The files of a container, to browse, read, download and upload. Next:
`desktop/widgets/file_browser.py`, which browses.
"""

import posixpath
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from desktop.actions import files as actions
from desktop.context import AppContext
from desktop.i18n.text import plural, tr
from desktop.pages.containers.tab import Tab
from desktop.pages.list_page import add
from desktop.widgets.basics import icon_button
from desktop.widgets.file_browser import LIMIT, FileBrowser
from desktop.widgets.menu import Menu
from engine.docker.cancel import Cancel
from engine.docker.types import ContainerState, FileEntry


class FilesTab(Tab):
    def __init__(self, app: AppContext, key: str) -> None:
        super().__init__()
        self.app = app
        self.key = key
        self._is_read = self._left = False
        self.setAcceptDrops(True)
        self.browser = FileBrowser(
            app, self._list, self._read, tr("Drop files here to upload them.")
        )
        self.setFocusProxy(self.browser)
        self.upload_button = icon_button(
            app.theme, "push", tr("Upload files"), self._choose_files, text=tr("Upload…"), kind=""
        )
        self.download_button = icon_button(
            app.theme, "pull", tr("Download the selection"), self._download,
            text=tr("Download…"), kind="",
        )  # fmt: skip
        self.browser.bar.addWidget(self.upload_button)
        self.browser.bar.addWidget(self.download_button)
        QWidget.setTabOrder(self.browser.filter, self.upload_button)  # before the files
        QWidget.setTabOrder(self.upload_button, self.download_button)
        table = self.browser.table
        table.selectionModel().selectionChanged.connect(self._settle)
        table.model().modelReset.connect(self._settle)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._menu)
        self.browser.stack.currentChanged.connect(self._settle)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 12, 0, 0)
        box.addWidget(self.browser)
        within = Qt.ShortcutContext.WidgetWithChildrenShortcut
        for keys, run in (("Ctrl+L", self.browser.path_bar.edit), ("Alt+Up", self.browser.up)):
            QShortcut(QKeySequence(keys), self, run, context=within)
        self._settle()

    # Tab

    def shown(self) -> None:
        if not self._is_read:
            self._is_read = True
            self.browser.open_folder("/")

    def leave(self) -> None:
        self._left = True
        self.browser.leave()

    def search(self) -> None:
        self.browser.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def step_out(self) -> bool:
        return self.browser.step_out()

    def refresh(self) -> None:
        self.browser.refresh()

    # For the browser, in a worker thread

    def _list(self, path: str, cancel: Cancel) -> Sequence[FileEntry]:
        client = self.app.connection.client
        running = client.containers.detail(self.key).state is ContainerState.RUNNING
        return client.files.list_folder(self.key, path, running, cancel)

    def _read(self, path: str) -> bytes:
        return self.app.connection.client.files.read(self.key, path, LIMIT)

    # In and out

    def download(self, paths: Sequence[str], folder: Path) -> None:
        actions.download(self.app, self.key, paths, folder)

    def upload(self, paths: Sequence[Path]) -> None:
        """Into the folder that is shown."""
        folder = self.browser.folder
        taken = [entry.name for entry in self.browser.all]

        def done() -> None:
            if not self._left and self.browser.folder == folder:
                self.browser.open_folder(folder, paths[0].name)

        actions.upload(self.app, self.key, folder, paths, taken, done)

    def _wanted(self) -> list[str]:
        """The paths that a download is of: the file that is read, or what is chosen."""
        if self.browser.file:
            return [self.browser.file]
        if self.browser.stack.currentWidget() is not self.browser.table:
            return []
        return [path for path, _ in self.browser.selected()]

    def _download(self) -> None:
        paths = self._wanted()
        if not paths:
            return
        dialog = QFileDialog(self, tr("Download to"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda folder: self.download(paths, Path(folder)))
        dialog.open()

    def _choose_files(self) -> None:
        dialog = QFileDialog(self, tr("Upload to {folder}", folder=self.browser.folder))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(lambda names: self.upload([Path(name) for name in names]))
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if _local_paths(event.mimeData()) and self._is_read:
            folder = self.browser.folder
            self.browser.note.setText(tr("Drop to upload to {folder}", folder=folder))
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: object) -> None:  # noqa: N802
        del event
        self._settle()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        event.acceptProposedAction()
        self._settle()
        self.upload(_local_paths(event.mimeData()))

    # State and menu

    def _settle(self, *_changes: object) -> None:
        wanted = self._wanted()
        self.download_button.setEnabled(bool(wanted))
        if self.browser.stack.currentWidget() is self.browser.table:
            shown = len(self.browser.model.entries)
            words = plural("%n entries", "%n entry", shown)
            more = tr(" · {n} chosen", n=len(wanted)) if len(wanted) > 1 else ""
            self.browser.note.setText(words + more)

    def _menu(self, where: QPoint) -> None:
        table = self.browser.table
        entry = self.browser.model.entry(table.indexAt(where))
        menu = Menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if entry is not None:
            path = posixpath.join(self.browser.folder, entry.name)
            add(menu, tr("Open"), self.browser.open_current)
            add(menu, tr("Download…"), self._download)
            add(menu, tr("Copy path"), partial(QGuiApplication.clipboard().setText, path))
            menu.addSeparator()
        add(menu, tr("Upload…"), self._choose_files)
        menu.popup(table.viewport().mapToGlobal(where))


def _local_paths(data: QMimeData) -> list[Path]:
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
