"""The list of volumes. Next: `detail.py`, which Enter opens.

dockerd computes sizes by reading every file: only while the page is shown, and again when a volume
was added or removed.
"""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QMenu

from desktop.actions import volumes as actions
from desktop.context import AppContext
from desktop.i18n.text import plural, size, tr
from desktop.models.rows import ListLine
from desktop.models.volumes import VolumeFacts, volumes_model
from desktop.pages.list_page import Detail, ListPage
from desktop.pages.page import Command, chip
from desktop.pages.volumes.menu import fill_menu, import_tar
from desktop.widgets.basics import button, icon_button
from desktop.widgets.empty import Empty
from desktop.widgets.list.row_style import RowButton, RowStyle, RowStyler
from engine.docker.types import Event

COUNT_MS = 500  # after the last of several events
ROOMY = 840  # pixels of the page in which the totals have room
AGE_MS = 30_000  # how often "2 min" is looked at again, while the page is shown


class VolumeStyler(RowStyler):
    def __init__(self, app: AppContext) -> None:
        self._app = app

    def style(self, line: ListLine) -> RowStyle:
        busy = line.key in self._app.stores.volumes.busy
        return RowStyle(icon="volume", dim=not self._app.connection.is_up, busy=busy)

    def buttons(self, line: ListLine) -> Sequence[RowButton]:
        if not self._app.connection.is_up:
            return ()
        return (
            RowButton("browse", "folder", tr("Browse")),
            RowButton("delete", "delete", tr("Delete")),
            RowButton("more", "more", tr("More")),
        )


class VolumesPage(ListPage):
    def __init__(self, app: AppContext) -> None:
        self.facts = VolumeFacts(app.stores)
        empty = Empty(
            app.theme,
            "volume",
            tr("No volumes yet"),
            tr("A volume keeps files that outlive the containers which write them."),
            button(tr("Create a volume…"), self._create, "primary"),
            button(tr("Import from a tar…"), lambda: import_tar(app), "link"),
        )
        model = volumes_model(app.stores, self.facts)
        super().__init__(app, tr("Volumes"), model, VolumeStyler(app), empty)
        self.totals = chip()
        self.import_button = button(tr("Import…"), lambda: import_tar(app))
        self.prune_button = button(tr("Clean up…"), self._prune)
        self.create_button = icon_button(
            app.theme, "add", tr("Create…"), self._create, text=tr("Create…"), kind="primary"
        )
        self.header.addWidget(self.totals, 0, Qt.AlignmentFlag.AlignVCenter)
        self.header.addStretch(1)
        for widget in (self.filter, self.import_button, self.prune_button, self.create_button):
            self.header.addWidget(widget)
        self._is_shown = False
        self._soon = QTimer(self, singleShot=True, interval=COUNT_MS)
        self._soon.timeout.connect(self._look)
        self._ages = QTimer(self, interval=AGE_MS)
        self._ages.timeout.connect(self.table.viewport().update)
        app.stores.told.connect(self._on_event)
        app.connection.changed.connect(self._follow)
        for signal in (app.stores.facts_changed, model.store.loaded):
            signal.connect(self._show_totals)
        self._follow()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """In a narrow window, hide the totals in favour of the buttons."""
        super().resizeEvent(event)
        self._show_totals()

    def shown(self) -> None:
        super().shown()
        self._is_shown = True
        self._ages.start()
        self._look()

    def hidden(self) -> None:
        self._is_shown = False
        self._soon.stop()
        self._ages.stop()

    def refresh(self) -> None:
        super().refresh()
        self._count()

    def fill_menu(self, menu: QMenu, lines: Sequence[ListLine]) -> None:
        fill_menu(menu, self.app, self.rows_of(lines), self.open)

    def press(self, name: str, line: ListLine) -> None:
        if name == "browse":
            self.open(line.key)
        else:
            actions.delete(self.app, [line.row])

    def delete(self, rows: Sequence[Any]) -> None:
        actions.delete(self.app, rows)

    def detail(self, key: str) -> Detail | None:
        if key not in self.app.stores.volumes.rows:
            return None
        from desktop.pages.volumes.detail import VolumeDetail

        return VolumeDetail(self.app, key, self.facts, self.back)

    def commands(self) -> list[Command]:
        app = self.app
        return [
            Command(tr("Create a volume…"), self._create, icon="volume"),
            Command(tr("Import a volume from a tar…"), lambda: import_tar(app), icon="volume"),
            Command(tr("Delete unused volumes…"), self._prune, icon="prune"),
        ]

    def _on_event(self, event: Event) -> None:
        """Writing to a volume causes no event, but the end of a mount does."""
        if self._is_shown and event.kind == "volume":
            self._soon.start()

    def _follow(self) -> None:
        up = self.app.connection.is_up
        for widget in (self.import_button, self.prune_button, self.create_button):
            widget.setEnabled(up)
        self.table.viewport().update()
        if up and self._is_shown:
            self._look()

    def _look(self) -> None:
        """Count again, unless that would wake the machine."""
        if not self.app.connection.is_asleep:
            self._count()

    def _count(self) -> None:
        if self.app.stores.is_counting:
            self._soon.start()
        else:
            self.app.stores.count_disk()
        self.table.viewport().update()

    def _show_totals(self) -> None:
        count = len(self.app.stores.volumes.rows)
        text = plural("%n volumes", "%n volume", count)
        if self.app.stores.disk is not None and count:
            text += " · " + size(self.facts.total())
        self.totals.setText(text)
        self.totals.setVisible(count > 0 and self.width() >= ROOMY)

    def _create(self) -> None:
        from desktop.dialogs.volume import CreateVolumeDialog

        CreateVolumeDialog(self.app, self.app.window.widget).open()

    def _prune(self) -> None:
        from desktop.dialogs.prune import PruneDialog, Wording

        app = self.app
        wording = Wording(
            tr("Delete unused volumes"),
            tr(
                "The files in them are permanently deleted. Volumes used by any container, "
                "running or stopped, are kept."
            ),
            tr("There is no unused volume to delete."),
            lambda n: plural("%n volumes", "%n volume", n),
            tr("Also named volumes"),
        )
        PruneDialog(
            app,
            app.window.widget,
            wording,
            lambda: actions.preview(app),
            lambda named: actions.prune(app, named),
        ).open()
