"""A page with a list of the engine's objects, and a detail view that opens in its place.

A page supplies its model, its row styler and its actions; filter, menu, keys, empty state and the
back button are shared.
"""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import QLineEdit, QMenu, QStackedLayout, QVBoxLayout, QWidget

from desktop.context import AppContext
from desktop.gc_policy import collect_soon
from desktop.i18n.text import plain, tr
from desktop.models.rows import ListLine, RowsModel
from desktop.pages.page import Page
from desktop.theme import icons
from desktop.widgets.basics import button
from desktop.widgets.empty import Empty
from desktop.widgets.levels import step_out_of
from desktop.widgets.list.row_style import RowStyler
from desktop.widgets.list.table import Table
from desktop.widgets.menu import Menu


class Detail(QWidget):
    """The inside of one row. `leave` is called when it is closed; it must stop what it started."""

    def leave(self) -> None:
        """Stop streams and timers."""

    def show_tab(self, tab: str) -> None:
        """Bring a tab to the front."""

    def search(self) -> None:
        """Ctrl+F."""

    def refresh(self) -> None:
        """F5."""

    def step_out(self) -> bool:
        """Esc: as `Levels`."""
        return False


class ListPage(Page):
    """Subclasses fill in `menu`, `press`, `link`, `delete`, `switch` and `detail`."""

    def __init__(
        self, app: AppContext, title: str, model: RowsModel[Any], styler: RowStyler, empty: Empty
    ) -> None:
        super().__init__(app, title)
        self.model = model
        model.setParent(self)
        self.table = Table(model, app.theme, styler)
        self.table.setAccessibleName(title)
        self.empty = empty
        self.nothing = Empty(
            app.theme, "search", tr("Nothing matches"), tr("Change or clear the filter."),
            button(tr("Clear the filter"), lambda: self.filter.clear()),
        )  # fmt: skip
        self.filter = QLineEdit(placeholderText=tr("Filter"), clearButtonEnabled=True)
        self.filter.setAccessibleName(tr("Filter {title}", title=title))
        self.filter.setMinimumWidth(110)
        self.filter.setMaximumWidth(220)
        self.filter.addAction(
            QAction(icons.icon("search", app.theme.color("secondary")), "", self.filter),
            QLineEdit.ActionPosition.LeadingPosition,
        )
        self.filter.textChanged.connect(self._filter)
        self.filter.returnPressed.connect(self._enter_list)
        down = QShortcut(QKeySequence(Qt.Key.Key_Down), self.filter)
        down.setContext(Qt.ShortcutContext.WidgetShortcut)
        down.activated.connect(self._enter_list)
        self.stack = QStackedLayout()
        self.body.addLayout(self.stack)  # first: a stack without a parent shows windows of its own
        for widget in (self.table, self.empty, self.nothing):
            self.stack.addWidget(widget)
        self.opened: Detail | None = None
        self.opened_key = ""
        self._connect()
        self._settle()

    def _connect(self) -> None:
        table = self.table
        table.opened.connect(lambda line: self.open(line.key))
        table.pressed_button.connect(self.press)
        table.menu_wanted.connect(self._menu)
        table.link_wanted.connect(self.link)
        table.delete_wanted.connect(lambda: self.delete(self._chosen()))
        table.switch_wanted.connect(lambda: self.switch(self._chosen()))
        for signal in (self.model.rowsInserted, self.model.rowsRemoved, self.model.modelReset):
            signal.connect(lambda *_args: self._settle())
        self.model.store.loaded.connect(self._settle)

    # For subclasses

    def fill_menu(self, menu: QMenu, lines: Sequence[ListLine]) -> None:
        """The actions of these lines, as they are in the buttons and more."""

    def press(self, name: str, line: ListLine) -> None:
        """A button at the end of a row."""

    def link(self, line: ListLine, number: int) -> None:
        """A link in a row."""

    def delete(self, rows: Sequence[Any]) -> None:
        """Del."""

    def switch(self, rows: Sequence[Any]) -> None:
        """Space."""

    def detail(self, key: str) -> Detail | None:
        """The inside of a row; None where there is none."""
        del key
        return None

    # Inside

    def open(self, key: str, tab: str = "") -> None:
        if self.opened is not None and (key != self.opened_key or not key):
            self.back()
        if not key:
            return
        if self.opened is None:
            made = self.detail(key)
            if made is None:
                self.table.choose(key)
                return
            self.opened, self.opened_key = made, key
            self._whole().insertWidget(0, made)
            self._show_list(False)
            made.setFocus()
        if tab:
            self.opened.show_tab(tab)

    def back(self) -> None:
        """From the detail to the list."""
        if self.opened is None:
            return
        self.opened.leave()
        self.opened.hide()
        self._whole().removeWidget(self.opened)
        self.opened.deleteLater()
        collect_soon()
        self.opened, key, self.opened_key = None, self.opened_key, ""
        self._show_list(True)
        self._settle()
        current = self.table.current_line()
        if current is None or current.key != key:  # else the selection stays
            self.table.choose(key)
        self.table.setFocus()

    def reset(self) -> None:
        self.back()
        self.filter.clear()

    def shown(self) -> None:
        if self.opened is None:
            self.table.setFocus()

    def focus_filter(self) -> None:
        if self.opened is None:
            self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.filter.selectAll()
        else:
            self.opened.search()

    def step_out(self) -> bool:
        if self.opened is None:
            return step_out_of(self.filter, self.table)
        if not self.opened.step_out():
            self.back()
        return True

    def refresh(self) -> None:
        super().refresh()
        if self.opened is not None:
            self.opened.refresh()

    def rows_of(self, lines: Sequence[ListLine]) -> list[Any]:
        """Rows of these lines; a heading stands for all of its group."""
        found: dict[int, Any] = {}
        for line in lines:
            for row in line.heading.rows if line.heading else (line.row,):
                found[id(row)] = row
        return list(found.values())

    def _whole(self) -> QVBoxLayout:
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        return layout

    def _show_list(self, visible: bool) -> None:
        bar = self.title_label.parentWidget()
        if bar is not None:
            bar.setVisible(visible)
        self.area.setVisible(visible)

    def _chosen(self) -> list[Any]:
        return self.rows_of(self.table.selected_lines())

    def _menu(self, line: ListLine, where: QPoint) -> None:
        lines = self.table.selected_lines()
        if line.key not in [one.key for one in lines]:
            self.table.choose(line.key)
            lines = [line]
        menu = Menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, lines)
        menu.popup(where)

    def _enter_list(self) -> None:
        """From the filter to what it has found."""
        if self.model.lines:
            self.table.choose(self.model.lines[0].key)
            self.table.setFocus()

    def _filter(self, text: str) -> None:
        self.model.set_filter(text)
        self._settle()

    def _settle(self) -> None:
        """The list, or what stands for an empty one."""
        if self.opened is not None:
            return
        if self.model.lines or not self.model.store.is_loaded:
            self.stack.setCurrentWidget(self.table)
        elif self.model.store.rows:
            self.stack.setCurrentWidget(self.nothing)
        else:
            self.stack.setCurrentWidget(self.empty)


def add(menu: QMenu, text: str, run: object, *, enabled: bool = True) -> QAction:
    """An entry of a menu."""
    action = menu.addAction(plain(text))
    action.setEnabled(enabled)
    if callable(run):
        action.triggered.connect(lambda _checked=False: run())
    return action
