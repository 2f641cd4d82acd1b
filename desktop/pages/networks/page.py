"""The list of networks, and the map. Next: `map.py`, and `detail.py`, which Enter opens."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtWidgets import QButtonGroup, QMenu

from desktop.actions import networks as actions
from desktop.context import AppContext
from desktop.i18n.text import plural, tr
from desktop.models.networks import networks_model
from desktop.models.rows import ListLine
from desktop.pages.list_page import Detail, ListPage
from desktop.pages.networks.map import NetworkMap
from desktop.pages.networks.menu import fill_menu
from desktop.pages.page import Command
from desktop.widgets.basics import button, column, holder, icon_button, row, scrolled
from desktop.widgets.empty import Empty
from desktop.widgets.list.row_style import RowButton, RowStyle, RowStyler
from desktop.widgets.menu import Menu

AGE_MS = 30_000  # how often "2 min" is looked at again, while the page is shown
AROUND = 24  # pixels that stay visible around the selection


class NetworkStyler(RowStyler):
    def __init__(self, app: AppContext) -> None:
        self._app = app

    def style(self, line: ListLine) -> RowStyle:
        busy = line.key in self._app.stores.networks.busy
        return RowStyle(icon="network", dim=not self._app.connection.is_up, busy=busy)

    def buttons(self, line: ListLine) -> Sequence[RowButton]:
        if not self._app.connection.is_up:
            return ()
        more = RowButton("more", "more", tr("More"))
        if line.row.is_builtin:
            return (more,)
        return RowButton("delete", "delete", tr("Delete")), more


class NetworksPage(ListPage):
    _is_drawn = False

    def __init__(self, app: AppContext) -> None:
        empty = Empty(
            app.theme,
            "network",
            tr("No networks yet"),
            tr("Containers on the same network find each other by name."),
            button(tr("Create a network…"), self._create, "primary"),
        )
        super().__init__(app, tr("Networks"), networks_model(app.stores), NetworkStyler(app), empty)
        self.map = NetworkMap(app)
        self._scrolled = scrolled(holder(column(self.map, 1)))
        self._scrolled.setFocusProxy(self.map)
        self.stack.addWidget(self._scrolled)
        self._furnish_header()
        self._ages = QTimer(self, interval=AGE_MS)
        self._ages.timeout.connect(self.table.viewport().update)
        self._connect_map()
        app.connection.changed.connect(self._follow)
        self._follow()
        self.show_map(app.prefs.text("networks", "list") == "map")

    def _furnish_header(self) -> None:
        theme = self.app.theme
        self.list_button = button(tr("List"), lambda: self.show_map(False), "tab")
        self.map_button = button(tr("Map"), lambda: self.show_map(True), "tab")
        self._ways = QButtonGroup(self)
        for one in (self.list_button, self.map_button):
            one.setCheckable(True)
            self._ways.addButton(one)
        self.prune_button = button(tr("Clean up…"), self._prune)
        self.create_button = icon_button(
            theme, "add", tr("Create…"), self._create, text=tr("Create…"), kind="primary"
        )
        ways = row(self.list_button, self.map_button, gap=16)
        ways.setContentsMargins(16, 0, 0, 0)
        self.header.addLayout(ways)
        self.header.addStretch(1)
        for widget in (self.filter, self.prune_button, self.create_button):
            self.header.addWidget(widget)

    def _connect_map(self) -> None:
        shown, app = self.map, self.app
        shown.network_chosen.connect(self.table.choose)
        shown.network_wanted.connect(self.open)
        shown.container_wanted.connect(lambda key: app.window.go("containers", key))
        shown.menu_wanted.connect(self._map_menu)
        shown.delete_wanted.connect(
            lambda key: actions.delete(app, [app.stores.networks.rows[key]])
        )
        shown.reached.connect(self._reach)
        for signal in (
            self.model.rowsInserted,
            self.model.rowsRemoved,
            self.model.modelReset,
            self.model.dataChanged,
            self.model.layoutChanged,
        ):
            signal.connect(lambda *_args: self._draw_map())

    def shown(self) -> None:
        super().shown()
        self._ages.start()
        self._draw_map()
        self._focus_map()

    def hidden(self) -> None:
        self._ages.stop()

    def back(self) -> None:
        super().back()
        self._focus_map()

    def show_map(self, wanted: bool) -> None:
        """Show the map, or the list."""
        self._is_drawn = wanted
        (self.map_button if wanted else self.list_button).setChecked(True)
        self.app.prefs.set_text("networks", "map" if wanted else "list")
        line = self.table.current_line()
        self.map.choose(line.key if line is not None else "")
        self._draw_map()
        self._settle()

    def fill_menu(self, menu: QMenu, lines: Sequence[ListLine]) -> None:
        fill_menu(menu, self.app, self.rows_of(lines), self.open)

    def press(self, name: str, line: ListLine) -> None:
        del name  # there is only one
        actions.delete(self.app, [line.row])

    def delete(self, rows: Sequence[Any]) -> None:
        actions.delete(self.app, rows)

    def detail(self, key: str) -> Detail | None:
        if key not in self.app.stores.networks.rows:
            return None
        from desktop.pages.networks.detail import NetworkDetail

        return NetworkDetail(self.app, key, self.back)

    def commands(self) -> list[Command]:
        return [
            Command(tr("Create a network…"), self._create, icon="network"),
            Command(tr("Map of networks"), self._go_to_map, icon="network"),
            Command(tr("Delete unused networks…"), self._prune, icon="prune"),
        ]

    def _go_to_map(self) -> None:
        self.app.window.go("networks")
        self.back()
        self.show_map(True)

    def _settle(self) -> None:
        super()._settle()
        if self._is_drawn and self.stack.currentWidget() is self.table:
            self.stack.setCurrentWidget(self._scrolled)

    def _focus_map(self) -> None:
        if self.opened is None and self.stack.currentWidget() is self._scrolled:
            self.map.setFocus()

    def _draw_map(self) -> None:
        if self._is_drawn:
            self.map.show_networks([line.row for line in self.model.lines])

    def _reach(self, where: QRect) -> None:
        center = where.center()
        self._scrolled.ensureVisible(
            center.x(), center.y(), where.width() // 2, where.height() // 2 + AROUND
        )

    def _map_menu(self, key: str, where: QPoint) -> None:
        found = self.app.stores.networks.rows.get(key)
        if found is not None:
            menu = Menu(self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            fill_menu(menu, self.app, [found], self.open)
            menu.popup(where)

    def _follow(self) -> None:
        up = self.app.connection.is_up
        for widget in (self.prune_button, self.create_button):
            widget.setEnabled(up)
        self.table.viewport().update()

    def _create(self) -> None:
        from desktop.dialogs.network import CreateNetworkDialog

        CreateNetworkDialog(self.app, self.app.window.widget).open()

    def _prune(self) -> None:
        from desktop.dialogs.prune import PruneDialog, Wording

        app = self.app
        wording = Wording(
            tr("Delete unused networks"),
            tr("Networks without running containers. A stopped container that uses one of them "
               "cannot start until it is connected to another."),
            tr("There is no unused network to delete."),
            lambda n: plural("%n networks", "%n network", n),
        )  # fmt: skip
        found = actions.unused(app)
        PruneDialog(
            app, app.window.widget, wording, lambda: found, lambda _wide: actions.prune(app)
        ).open()
