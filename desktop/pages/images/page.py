"""The list of images, a line for each name.

Next: `detail.py`, which Enter opens.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QMenu, QPushButton

from desktop.actions import images_delete
from desktop.context import AppContext
from desktop.dialogs import images as dialogs
from desktop.i18n.text import tip, tr
from desktop.models.images import NamedImage, find, images_model, totals, users
from desktop.models.rows import Cell, ListLine
from desktop.pages.images.menu import fill_menu
from desktop.pages.list_page import Detail, ListPage, add
from desktop.pages.page import Command, chip
from desktop.widgets.basics import button, icon_button
from desktop.widgets.empty import Empty
from desktop.widgets.list.row_style import RowButton, RowStyle, RowStyler
from desktop.widgets.menu import Menu

ROOMY = 960  # pixels of the page in which the totals have room
AGE_MS = 30_000  # how often "2 min" is looked at again, while the page is shown


class ImageStyler(RowStyler):
    def __init__(self, app: AppContext) -> None:
        self._app = app

    def style(self, line: ListLine) -> RowStyle:
        named: NamedImage = line.row
        faint = () if named.tag else (Cell.NAME,)
        busy = named.key in self._app.stores.images.busy
        if busy or not users(self._app.stores, named):
            faint = (*faint, Cell.TEXT)
        return RowStyle(icon="image", dim=not self._app.connection.is_up, faint=faint)

    def buttons(self, line: ListLine) -> Sequence[RowButton]:
        if not self._app.connection.is_up or line.key in self._app.stores.images.busy:
            return ()
        return (
            RowButton("run", "start", tr("Run…")),
            RowButton("delete", "delete", tr("Delete")),
            RowButton("more", "more", tr("More")),
        )


class ImagesPage(ListPage):
    def __init__(self, app: AppContext) -> None:
        empty = Empty(
            app.theme,
            "image",
            tr("No images yet"),
            tr("Pull one from a registry, build one, or load one from a file."),
            _pull_button(app),
        )
        super().__init__(app, tr("Images"), images_model(app.stores), ImageStyler(app), empty)
        self.totals = chip()
        shared = tr("A layer that several images share is counted for each of them.")
        self.totals.setToolTip(tip(shared))
        self.files_button = button(tr("From a file ▾"), name=tr("From a file"))
        files = Menu(self.files_button)
        add(files, tr("Load images from a tar file…"), partial(dialogs.ask_load, app))
        add(files, tr("Import a root file system…"), partial(dialogs.ask_import, app))
        self.files_button.setMenu(files)
        self.prune_button = button(tr("Clean up…"), partial(dialogs.ask_prune, app))
        self.pull_button = _pull_button(app)
        self.header.addWidget(self.totals)
        self.header.addStretch(1)
        for widget in (self.filter, self.files_button, self.prune_button, self.pull_button):
            self.header.addWidget(widget)
        self._ages = QTimer(self, interval=AGE_MS)
        self._ages.timeout.connect(self.table.viewport().update)
        for store in (app.stores.images, app.stores.containers):
            store.loaded.connect(self._follow)
        app.connection.changed.connect(self._follow)
        self._follow()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """In a narrow window, hide the totals in favour of the buttons."""
        super().resizeEvent(event)
        self._show_totals()

    def shown(self) -> None:
        self._ages.start()
        self._follow()

    def hidden(self) -> None:
        self._ages.stop()

    def fill_menu(self, menu: QMenu, lines: Sequence[ListLine]) -> None:
        fill_menu(menu, self.app, self.rows_of(lines), self.open)

    def press(self, name: str, line: ListLine) -> None:
        if name == "run":
            self.app.window.run_image(line.row.ref)
        else:
            images_delete.delete(self.app, [line.row])

    def delete(self, rows: Sequence[Any]) -> None:
        images_delete.delete(self.app, rows)

    def open(self, key: str, tab: str = "") -> None:
        """Other pages refer to an image by its id alone."""
        line = find(self.app.stores, key)
        super().open(line.key if line else key, tab)

    def detail(self, key: str) -> Detail | None:
        line = find(self.app.stores, key)
        if line is None:
            return None
        from desktop.pages.images.detail import ImageDetailView

        return ImageDetailView(self.app, line, self.back)

    def _show_totals(self) -> None:
        self.totals.setText(totals(self.app.stores))
        room = self.width() >= ROOMY
        self.totals.setVisible(room and self.app.stores.images.is_loaded)

    def commands(self) -> list[Command]:
        app = self.app
        return [
            Command(tr("Pull an image…"), partial(dialogs.ask_pull, app), icon="pull"),
            Command(
                tr("Load images from a tar file…"), partial(dialogs.ask_load, app), icon="image"
            ),
            Command(
                tr("Import a root file system…"), partial(dialogs.ask_import, app), icon="image"
            ),
            Command(tr("Delete unused images…"), partial(dialogs.ask_prune, app), icon="prune"),
        ]

    def _follow(self) -> None:
        """The rows show which containers use an image, so they change with the containers."""
        self._show_totals()
        for widget in (self.files_button, self.prune_button, self.pull_button):
            widget.setEnabled(self.app.connection.is_up)
        self.table.viewport().update()


def _pull_button(app: AppContext) -> QPushButton:
    pull = partial(dialogs.ask_pull, app)
    words = tr("Pull…")
    return icon_button(app.theme, "pull", words, pull, text=words, kind="primary")
