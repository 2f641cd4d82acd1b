"""Docker's JSON of a container, as a tree and as text. Next: `desktop/models/json_tree.py`."""

import json
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import (
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QStackedWidget,
    QTextEdit,
    QVBoxLayout,
)

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.models.json_tree import KEY, JsonModel, matches, value_text
from desktop.pages.containers.tab import Tab
from desktop.pages.list_page import add
from desktop.stores.store import Delta
from desktop.theme.theme import monospace
from desktop.widgets.basics import button, icon_button, label, row
from desktop.widgets.levels import step_out_of
from desktop.widgets.list.tree import Tree
from desktop.widgets.menu import Menu
from vm.errors import Problem

MARKED = 2000  # matches that are coloured in the text
OPEN_AT_FIRST = ("State", "Config", "NetworkSettings")


class InspectTab(Tab):
    def __init__(self, app: AppContext, key: str) -> None:
        super().__init__()
        self.app = app
        self.key = key
        self._stale = True
        self._left = False
        self._whole: Any = {}
        self._found: list[tuple[str | int, ...]] = []
        self._at = -1
        self.model = JsonModel(app.theme, self)
        self.tree = Tree()
        self.text = QPlainTextEdit(readOnly=True)
        self.field = QLineEdit(placeholderText=tr("Search"), clearButtonEnabled=True)
        self.count = label("", "secondary")
        self.problem = label("", "error", wrap=True)
        self.problem.hide()
        self._make_tree()
        self._lay_out()
        app.stores.containers.changed.connect(self._follow)
        app.connection.changed.connect(self._reach)
        app.theme.changed.connect(self._mark_text)
        self.setFocusProxy(self.tree)

    def shown(self) -> None:
        if self._stale:
            self.refresh()

    def search(self) -> None:
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()

    def step_out(self) -> bool:
        return step_out_of(self.field, self.stack.currentWidget() or self.tree)

    def leave(self) -> None:
        self._left = True

    def refresh(self) -> None:
        self._stale = False
        self.app.tasks.quietly(self._ask, self._take, self._fail)

    def _ask(self) -> tuple[str, Any]:
        text = self.app.connection.client.containers.inspect(self.key).decode()
        return text, json.loads(text)

    def _take(self, found: tuple[str, Any]) -> None:
        text, whole = found
        if self._left:
            return
        self.problem.hide()
        if whole == self._whole:
            return
        first = not self._whole
        opened = self._opened()
        self._whole = whole
        self.model.fill(whole)
        for keys in [(key,) for key in OPEN_AT_FIRST] if first else opened:
            self.tree.expand(self.model.index_of(keys))
        place = self.text.verticalScrollBar().value()
        self.text.setPlainText(text)
        self.text.verticalScrollBar().setValue(place)
        self._search(self.field.text())

    def _fail(self, problem: Problem) -> None:
        if not self._left:
            self.problem.setText(messages.summary(problem))
            self.problem.show()

    def _follow(self, delta: Delta) -> None:
        if self.key in delta.changed:
            self._stale = True
            if self.isVisible() and not self._left:
                self.refresh()

    def _reach(self) -> None:
        """Read again after a failure, once the engine answers."""
        if self.app.connection.is_heard and not self.problem.isHidden() and not self._left:
            self.refresh()

    def _opened(self) -> list[tuple[str | int, ...]]:
        """The unfolded branches, to unfold them again after a read."""
        found: list[tuple[str | int, ...]] = []

        def walk(keys: tuple[str | int, ...]) -> None:
            index = self.model.index_of(keys)
            for child in self.model.node(index).children or ():
                here = (*keys, child.key)
                if self.tree.isExpanded(self.model.index_of(here)):
                    found.append(here)
                    walk(here)

        walk(())
        return found

    # Search

    def _search(self, text: str) -> None:
        words = text.casefold().strip()
        self._found = list(matches(self._whole, words)) if words else []
        self._at = -1
        self._mark_text()
        if self._found:
            self.step(1)
        else:
            self.count.setText(tr("nothing found") if words else "")

    def step(self, by: int) -> None:
        """To the next match, or to the one before."""
        if self.stack.currentWidget() is self.text:
            self._step_in_text(by)
            return
        if not self._found:
            return
        self._at = (self._at + by) % len(self._found)
        index = self.model.index_of(self._found[self._at])
        self.tree.setCurrentIndex(index)
        self.tree.scrollTo(index)
        self.count.setText(tr("{n} of {all}", n=self._at + 1, all=len(self._found)))

    def _step_in_text(self, by: int) -> None:
        marks = self.text.extraSelections()
        if not marks:
            return
        here = self.text.textCursor().selectionStart()
        places = [mark.cursor for mark in marks]
        after = [n for n, one in enumerate(places) if one.selectionStart() > here]
        before = [n for n, one in enumerate(places) if one.selectionStart() < here]
        number = (after or [0])[0] if by > 0 else (before or [len(places) - 1])[-1]
        self.text.setTextCursor(places[number])
        self.text.centerCursor()
        self.count.setText(tr("{n} of {all}", n=number + 1, all=len(places)))

    def _mark_text(self) -> None:
        marks: list[QTextEdit.ExtraSelection] = []
        words = self.field.text().strip()
        style = QTextCharFormat()
        style.setBackground(self.app.theme.color("paused"))
        style.setForeground(self.app.theme.color("surface"))
        document = self.text.document()
        cursor = document.find(words) if words else QTextCursor()
        while not cursor.isNull() and len(marks) < MARKED:
            mark = QTextEdit.ExtraSelection()
            mark.cursor, mark.format = cursor, style
            marks.append(mark)
            cursor = document.find(words, cursor)
        self.text.setExtraSelections(marks)

    # Copies

    def copy_value(self) -> None:
        node = self.model.node(self.tree.currentIndex())
        _copy(value_text(node.value))

    def copy_path(self) -> None:
        _copy(self.model.node(self.tree.currentIndex()).path)

    def copy_all(self) -> None:
        _copy(self.text.toPlainText())

    def _menu(self, where: QPoint) -> None:
        if not self.tree.indexAt(where).isValid():
            return
        menu = Menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add(menu, tr("Copy value"), self.copy_value)
        add(menu, tr("Copy path"), self.copy_path)
        menu.addSeparator()
        index = self.tree.currentIndex()
        add(menu, tr("Expand all"), partial(self.tree.expandRecursively, index))
        menu.popup(self.tree.viewport().mapToGlobal(where))

    # Layout

    def _make_tree(self) -> None:
        tree = self.tree
        tree.setModel(self.model)
        tree.setProperty("kind", "plain")
        tree.setAccessibleName(tr("Output of docker inspect"))
        tree.setUniformRowHeights(True)
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        tree.customContextMenuRequested.connect(self._menu)
        tree.setColumnWidth(KEY, 320)
        tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.text.setFont(monospace())
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(tr("Output of docker inspect, as JSON"))
        within = Qt.ShortcutContext.WidgetWithChildrenShortcut
        QShortcut(QKeySequence.StandardKey.Copy, tree, self.copy_value, context=within)
        for keys, by in (("F3", 1), ("Shift+F3", -1)):
            QShortcut(QKeySequence(keys), self, partial(self.step, by), context=within)

    def _lay_out(self) -> None:
        theme = self.app.theme
        self.stack = QStackedWidget()
        self.stack.addWidget(self.tree)
        self.stack.addWidget(self.text)
        self.as_tree = button(tr("Tree"), partial(self._choose, 0), "tab")
        self.as_text = button(tr("JSON"), partial(self._choose, 1), "tab")
        for one in (self.as_tree, self.as_text):
            one.setCheckable(True)
        self.field.setMinimumWidth(110)
        self.field.setMaximumWidth(220)
        self.field.setAccessibleName(tr("Search keys and values"))
        self.field.textChanged.connect(self._search)
        self.field.returnPressed.connect(partial(self.step, 1))
        self.copy_button = button(tr("Copy ▾"), name=tr("Copy"))
        copies = Menu(self.copy_button)
        self.value_copy = add(copies, tr("Copy value"), self.copy_value)
        self.path_copy = add(copies, tr("Copy path"), self.copy_path)
        add(copies, tr("Copy all"), self.copy_all)
        self.copy_button.setMenu(copies)
        self.tree.selectionModel().currentChanged.connect(lambda *_: self._settle())
        tools = row(
            self.as_tree, self.as_text, 1, self.count, self.field,
            icon_button(theme, "up", tr("Previous match"), partial(self.step, -1)),
            icon_button(theme, "down", tr("Next match"), partial(self.step, 1)),
            self.copy_button, gap=12,
        )  # fmt: skip
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 8, 0, 0)
        whole.setSpacing(8)
        whole.addLayout(tools)
        whole.addWidget(self.problem)
        whole.addWidget(self.stack)
        self._choose(0)

    def _choose(self, number: int) -> None:
        self.stack.setCurrentIndex(number)
        self.as_tree.setChecked(number == 0)
        self.as_text.setChecked(number == 1)
        self._settle()

    def _settle(self) -> None:
        chosen = self.tree.currentIndex().isValid() and self.stack.currentIndex() == 0
        self.value_copy.setEnabled(chosen)
        self.path_copy.setEnabled(chosen)


def _copy(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
