"""The list of containers, grouped by compose project. Next: `detail.py`, which Enter opens."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QMenu

from desktop.actions import containers as actions
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.models.containers import containers_model, heading_dot, port_links, state_dot
from desktop.models.rows import Heading, ListLine
from desktop.pages.containers.menu import fill_menu
from desktop.pages.list_page import Detail, ListPage, add
from desktop.pages.page import Command
from desktop.session.connection import Reach
from desktop.widgets.basics import icon_button
from desktop.widgets.empty import Empty
from desktop.widgets.list.row_style import RowButton, RowStyle, RowStyler
from engine.docker.types import Container, ContainerState

ORDER_MS = 1000  # between two looks whether the order by CPU or memory is still right
AGE_MS = 30_000  # how often "2 min" is looked at again, while the page is shown


class ContainerStyler(RowStyler):
    def __init__(self, app: AppContext) -> None:
        self._app = app

    def style(self, line: ListLine) -> RowStyle:
        connection = self._app.connection
        dim = connection.reach is Reach.DOWN and not connection.is_up
        if line.heading is not None:
            return RowStyle(heading_dot(line.heading), dim=dim)
        busy = line.row.id in self._app.stores.containers.busy
        return RowStyle(state_dot(line.row), dim=dim, busy=busy)

    def buttons(self, line: ListLine) -> Sequence[RowButton]:
        if not self._app.connection.is_up:
            return ()
        if line.heading is None:
            return self._verbs((line.row,))
        # To delete a whole project is too much for a button.
        buttons = [one for one in self._verbs(line.heading.rows) if one.name != "delete"]
        if not line.heading.is_partial:
            return buttons
        return [replace(one, label=_covering(one.label, line.heading)) for one in buttons]

    def _verbs(self, rows: Sequence[Container]) -> Sequence[RowButton]:
        more = RowButton("more", "more", tr("More"))
        if all(row.state is ContainerState.PAUSED for row in rows):
            return (
                RowButton("resume", "start", tr("Resume")),
                RowButton("stop", "stop", tr("Stop")),
                more,
            )
        if any(row.state.is_up for row in rows):
            return (
                RowButton("stop", "stop", tr("Stop")),
                RowButton("restart", "restart", tr("Restart")),
                more,
            )
        return (
            RowButton("start", "start", tr("Start")),
            RowButton("delete", "delete", tr("Delete")),
            more,
        )

    def links(self, line: ListLine) -> Sequence[str]:
        return port_links(line.row) if line.row is not None and line.row.state.is_up else ()

    def sparkline(self, line: ListLine) -> Sequence[float]:
        if line.row is None or line.row.state is not ContainerState.RUNNING:
            return ()
        return self._app.usage.sparkline(line.row.id)


def _covering(verb: str, heading: Heading) -> str:
    """For a group of which the filter shows a part."""
    return tr("{verb}: {n} of {whole}", verb=verb, n=len(heading.rows), whole=heading.whole)


class ContainersPage(ListPage):
    def __init__(self, app: AppContext) -> None:
        self.styler = ContainerStyler(app)
        empty = Empty(
            app.theme,
            "container",
            tr("No containers yet"),
            tr("Run an image here, or type docker run in a terminal."),
            icon_button(app.theme, "start", tr("Run…"), self._run, text=tr("Run…"), kind="primary"),
        )
        super().__init__(
            app, tr("Containers"), containers_model(app.stores, app.usage), self.styler, empty
        )
        self.scope = QComboBox()
        self.scope.setAccessibleName(tr("Which containers"))
        self.scope.addItems([tr("All"), tr("Running"), tr("Stopped")])
        self.scope.currentIndexChanged.connect(self._choose_scope)
        self.run_button = icon_button(
            app.theme, "start", tr("Run…"), self._run, text=tr("Run…"), kind="primary"
        )
        self.header.addStretch(1)
        for widget in (self.filter, self.scope, self.run_button):
            self.header.addWidget(widget)
        self._ages = QTimer(self, interval=AGE_MS)
        self._ages.timeout.connect(self.table.viewport().update)
        self._ordering = QTimer(self, singleShot=True, interval=ORDER_MS)
        self._ordering.timeout.connect(self._order)
        app.usage.changed.connect(self._order_soon)
        self.table.visible_changed.connect(self._watch)
        app.connection.changed.connect(self.table.viewport().update)
        self._is_shown = False

    def shown(self) -> None:
        super().shown()
        self._is_shown = True
        self._ages.start()
        self._watch()

    def hidden(self) -> None:
        self._is_shown = False
        self._ages.stop()
        self.app.usage.watch([])

    def _watch(self) -> None:
        """Read the usage of visible rows; of all rows if the order depends on it."""
        if self._is_shown and self.opened is None:
            rows = [line.row for line in self.table.visible_lines() if line.row is not None]
            self.app.usage.watch([row.id for row in rows], self._is_order_live)

    @property
    def _is_order_live(self) -> bool:
        column = self.model.sorted_by
        return column is not None and column.is_live

    def _order_soon(self, _ids: object) -> None:
        if self._is_shown and self._is_order_live and not self._ordering.isActive():
            self._ordering.start()

    def _order(self) -> None:
        """Sort again, but not while a click could then hit another row than intended."""
        if self.table.is_aimed:
            self._ordering.start()
        elif self._is_shown and self._is_order_live:
            self.model.rearrange()

    def fill_menu(self, menu: QMenu, lines: Sequence[ListLine]) -> None:
        rows: list[Container] = self.rows_of(lines)
        heading = lines[0].heading if len(lines) == 1 else None
        if heading is not None and heading.is_partial:
            add(menu, _covering(heading.title, heading), None, enabled=False)
            menu.addSeparator()
        if len(rows) == 1 and heading is None:
            add(menu, tr("Open"), partial(self.open, rows[0].id))
            menu.addSeparator()
        fill_menu(menu, self.app, rows, self.open, is_group=heading is not None)

    def press(self, name: str, line: ListLine) -> None:
        verb = {
            "start": actions.start,
            "resume": actions.resume,
            "stop": actions.stop,
            "restart": actions.restart,
            "delete": actions.delete,
        }[name]
        verb(self.app, self.rows_of([line]))

    def link(self, line: ListLine, number: int) -> None:
        port = port_links(line.row)[number]
        found = next(p for p in line.row.ports if str(p.host_port) == port)
        actions.open_port(self.app, found)

    def delete(self, rows: Sequence[Any]) -> None:
        actions.delete(self.app, rows)

    def switch(self, rows: Sequence[Any]) -> None:
        actions.switch(self.app, rows)

    def detail(self, key: str) -> Detail | None:
        if key not in self.app.stores.containers.rows:
            return None
        from desktop.pages.containers.detail import ContainerDetailView

        self.app.usage.watch([])
        return ContainerDetailView(self.app, key, self.back)

    def back(self) -> None:
        super().back()
        self._watch()

    def commands(self) -> list[Command]:
        app = self.app
        return [
            Command(tr("Run an image…"), self._run, icon="start"),
            Command(tr("Delete stopped containers…"), lambda: actions.prune(app), icon="prune"),
        ]

    def _choose_scope(self, number: int) -> None:
        scopes = (None, lambda row: row.state.is_up, lambda row: not row.state.is_up)
        self.model.set_scope(scopes[number])
        self._settle()

    def _run(self) -> None:
        from desktop.dialogs.run.dialog import RunDialog

        RunDialog(self.app).open()
