"""The detail view of a container: its name and state, its actions, and its tabs. A tab is made when
it is first shown. Next: `tab.py`, then `desktop/pages/containers/logs/tab.py`,
`desktop/pages/containers/terminal/tab.py` and the others.
"""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QPushButton, QWidget

from desktop.actions import containers as actions
from desktop.context import AppContext
from desktop.i18n.text import tip, tr
from desktop.models.containers import state_dot, state_word
from desktop.pages.attached import Dot
from desktop.pages.containers.menu import fill_menu
from desktop.pages.containers.tab import Tab
from desktop.pages.framed import FramedDetail
from desktop.pages.page import chip
from desktop.stores.store import Delta
from desktop.widgets.basics import button, holder, icon_button, label, row, set_kind
from desktop.widgets.empty import Empty
from desktop.widgets.menu import Menu
from engine.docker.types import Container, ContainerState, Port

MOST_LINKS = 4


def make_tab(name: str, app: AppContext, key: str) -> Tab:
    """One of `logs`, `terminal`, `files`, `stats`, `inside`, `inspect`."""
    match name:
        case "terminal":
            from desktop.pages.containers.terminal.tab import TerminalTab

            return TerminalTab(app, key)
        case "files":
            from desktop.pages.containers.files_tab import FilesTab

            return FilesTab(app, key)
        case "stats":
            from desktop.pages.containers.stats.tab import StatsTab

            return StatsTab(app, key)
        case "inside":
            from desktop.pages.containers.inside.tab import InsideTab

            return InsideTab(app, key)
        case "inspect":
            from desktop.pages.containers.inspect_tab import InspectTab

            return InspectTab(app, key)
    from desktop.pages.containers.logs.tab import LogsTab

    return LogsTab(app, key)


class ContainerDetailView(FramedDetail):
    def __init__(self, app: AppContext, key: str, back: Callable[[], object]) -> None:
        found = app.stores.containers.rows.get(key)
        super().__init__(app, found.name if found else key[:12], back)
        self.key = key
        self.opened: dict[str, Tab] = {}
        self.current = ""
        self._left = False
        self._linked: list[int] = []
        self._make_head()
        for name, title in (
            ("logs", tr("Logs")),
            ("terminal", tr("Terminal")),
            ("files", tr("Files")),
            ("stats", tr("Stats")),
            ("inside", tr("Inside")),
            ("inspect", tr("Inspect")),
        ):
            self.add_tab(name, title, partial(self._open_tab, name))
        self.body.setContentsMargins(24, 0, 24, 16)
        self.way_back = button(tr("Back to the list"), back, "primary")
        self.missing = Empty(
            app.theme,
            "container",
            tr("This container is gone"),
            tr("It was deleted."),
            self.way_back,
        )
        self.missing.hide()
        self.body.addWidget(self.missing, 1)
        app.stores.containers.changed.connect(self._follow)
        app.connection.changed.connect(self._draw)
        self._draw()

    # Detail

    def leave(self) -> None:
        self._left = True
        self.app.stores.containers.changed.disconnect(self._follow)
        self.app.connection.changed.disconnect(self._draw)
        for tab in self.opened.values():
            tab.leave()

    def show_tab(self, tab: str) -> None:
        if not self._left and self.missing.isHidden():
            super().show_tab(tab if tab in self.tabs else "logs")

    def tab_shown(self, tab: str) -> None:
        self.current = tab

    def search(self) -> None:
        if self.current in self.opened:
            self.opened[self.current].search()

    def refresh(self) -> None:
        if self.current in self.opened:
            self.opened[self.current].refresh()

    # Inside

    def _open_tab(self, name: str) -> Tab:
        made = self.opened[name] = make_tab(name, self.app, self.key)
        made.left.connect(partial(self.tabs[name].setFocus, Qt.FocusReason.TabFocusReason))
        return made

    def _make_head(self) -> None:
        self.dot = Dot(self.app.theme, "exited")
        self.state = label()
        self.image = chip()
        self.links = row(gap=4)
        self._link_holder = holder(self.links)
        self.stop_button = self._button("stop", tr("Stop"), self._switch)
        self.start_button = self._button("start", tr("Start"), self._switch)
        self.restart_button = self._button("restart", tr("Restart"), self._restart)
        self.more_button = icon_button(self.app.theme, "more", tr("More"), kind="")
        self.menu = Menu(self.more_button)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.more_button.setMenu(self.menu)
        self.add_to_head(self.dot, self.state, self.image)
        self.head.addWidget(self._link_holder)
        self.head.addStretch(1)
        self.add_to_head(*self._buttons)

    def _button(self, icon: str, name: str, run: Callable[[], object]) -> QPushButton:
        return icon_button(self.app.theme, icon, name, run, text=name, kind="")

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return self.start_button, self.stop_button, self.restart_button, self.more_button

    @property
    def _row(self) -> Container | None:
        return self.app.stores.containers.rows.get(self.key)

    def _follow(self, delta: Delta) -> None:
        if self.key in delta.removed:
            self._show_missing()
        elif self.key in delta.changed:
            self._draw()

    def _show_missing(self) -> None:
        """It was removed while it was shown."""
        for tab in self.opened.values():
            tab.leave()
        self.dot.set_state("exited")
        self.state.setText(tr("gone"))
        set_kind(self.state, "exited")
        self._draw_links([])
        for each in (*self._buttons, *self.tabs.values()):
            each.setEnabled(False)
        self.show_instead(self.missing)
        self.way_back.setFocus()

    def _draw(self) -> None:
        """The header, as the row is now."""
        found, up = self._row, self.app.connection.is_up
        if found is None:
            return
        busy = self.app.stores.containers.busy.get(self.key, "")
        self.rename(found.name)
        self.dot.set_state(state_dot(found))
        self.state.setText(busy or state_word(found))
        set_kind(self.state, state_dot(found))
        self.state.setToolTip(tip(found.status))
        self.image.setToolTip(tip(found.image))
        self._fit()
        paused = found.state is ContainerState.PAUSED
        self.start_button.setText(tr("Resume") if paused else tr("Start"))
        self.start_button.setAccessibleName(self.start_button.text())
        self.start_button.setVisible(paused or not found.state.is_up)
        self.stop_button.setVisible(found.state.is_up and not paused)
        for each in self._buttons:
            each.setEnabled(up and (not busy or each is self.more_button))
        self._draw_links([p for p in found.ports if p.host_port] if found.state.is_up else [])

    def _fit(self) -> None:
        """Where there is no room for all, shorten the image's name first, which is in Inspect too,
        then hide the links."""
        self.widen_title()
        for links, room in ((True, 300), (True, 130), (True, 0), (False, 0)):
            self._link_holder.setHidden(not links)
            self.image.setHidden(not room)
            if room:
                metrics, image = self.image.fontMetrics(), self.image.toolTip()
                self.image.setText(metrics.elidedText(image, Qt.TextElideMode.ElideMiddle, room))
            self.head.invalidate()
            if self.head.minimumSize().width() <= self.width():
                return

    def _draw_links(self, ports: list[Port]) -> None:
        shown = {port.host_port: port for port in reversed(ports) if port.protocol == "tcp"}
        wanted = sorted(shown)[:MOST_LINKS]
        if wanted == self._linked:
            return
        self._linked = wanted
        while (item := self.links.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        before: QPushButton = self.back_button
        for number in wanted:
            open_it = partial(actions.open_port, self.app, shown[number])
            name = tr("Open port {port} in the browser", port=number)
            link = button(f":{number} ↗", open_it, "link", name=name, tip=name)
            self.links.addWidget(link)
            QWidget.setTabOrder(before, link)  # where it stands: it is made after the tabs
            before = link

    def _switch(self) -> None:
        if self._row is not None:
            actions.switch(self.app, [self._row])

    def _restart(self) -> None:
        if self._row is not None:
            actions.restart(self.app, [self._row])

    def _fill_menu(self) -> None:
        self.menu.clear()
        if self._row is not None:
            fill_menu(self.menu, self.app, [self._row], lambda _key, tab: self.show_tab(tab))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Starts with the log, whatever was shown last: a terminal would start a shell."""
        if not self.current:
            self.show_tab("logs")
        super().showEvent(event)
