"""The field that searches a log: Enter: the next hit, Shift+Enter: the previous one, Escape: end.

It searches in slices between the window's other work, so that a hundred thousand lines do not hold
it up. Next: `desktop/widgets/log/rows.py`.
"""

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.i18n.text import plural, tr
from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.widgets.basics import icon_button, label, row
from desktop.widgets.log.rows import LogSearch
from desktop.widgets.log.view import LogView

SLICE = 0.006  # seconds of searching in one turn


class SearchField(QLineEdit):
    """Handles Escape itself while it has a search to end."""

    def event(self, event: QEvent) -> bool:
        overrides = event.type() == QEvent.Type.ShortcutOverride
        if overrides and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)


class LogSearchBar(QWidget):
    def __init__(self, theme: Theme, view: LogView) -> None:
        super().__init__()
        self._view = view
        self.field = SearchField(placeholderText=tr("Search"), clearButtonEnabled=True)
        self.field.setAccessibleName(tr("Search the log"))
        self.field.setMinimumWidth(110)
        self.field.setMaximumWidth(220)
        self._picture = QAction(self.field)
        self.field.addAction(self._picture, QLineEdit.ActionPosition.LeadingPosition)
        self.count = label("", "secondary")
        self.previous_button = icon_button(theme, "up", tr("Previous match"), self.previous)
        self.next_button = icon_button(theme, "down", tr("Next match"), self.next)
        self._theme = theme
        self._turns = QTimer(self, interval=0)
        self._turns.timeout.connect(self._search_on)
        self._jumps = False  # to the nearest hit, as soon as there is one
        self.setLayout(row(self.count, self.field, self.previous_button, self.next_button, gap=4))
        self.field.textChanged.connect(self._look_for)
        self.field.installEventFilter(self)
        theme.changed.connect(self._apply_theme)
        self._apply_theme()
        self._show_count()

    def begin(self, words: str = "") -> None:
        """Ctrl+F; with what is selected, if that is on one line."""
        if words and "\n" not in words:
            self.field.setText(words)
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()

    def close_search(self) -> None:
        self.field.clear()

    def go_on(self) -> None:
        """The log has more rows, or fewer."""
        if self._view.search is not None and not self._turns.isActive():
            self._search_on()

    def next(self) -> None:
        self._jump(True)

    def previous(self) -> None:
        self._jump(False)

    def _jump(self, onwards: bool) -> None:
        search = self._view.search
        if search is None:
            self.begin()
            return
        hit = self._view.hit
        found = search.following(hit) if onwards else search.preceding(max(hit, 0))
        if found is not None:
            self._view.show_hit(found)
        self._show_count()

    def _look_for(self, words: str) -> None:
        self._turns.stop()
        self._view.set_search(LogSearch(words, self._view.rows) if words else None)
        self._jumps = bool(words)
        if words:
            self._search_on()
        self._show_count()

    def _search_on(self) -> None:
        search = self._view.search
        if search is None:
            return
        if search.go_on(SLICE):
            self._turns.stop()
            if self._jumps and search.hits:
                self._view.show_hit(search.following(self._view.hit) or 0)
            self._jumps = False
        elif not self._turns.isActive():
            self._turns.start()
        self._show_count()
        self._view.viewport().update()

    def _show_count(self) -> None:
        search = self._view.search
        found = len(search.hits) if search else 0
        self.previous_button.setEnabled(found > 0)
        self.next_button.setEnabled(found > 0)
        self.field.setProperty("wrong", bool(search and not found and not self._turns.isActive()))
        self.field.style().polish(self.field)
        if search is None:
            self.count.setText("")
            return
        rank = search.rank(self._view.hit)
        if rank:
            self.count.setText(tr("{n} of {all} lines", n=rank, all=found))
        else:
            self.count.setText(plural("%n lines", "%n line", found))

    def _apply_theme(self) -> None:
        self._picture.setIcon(icons.icon("search", self._theme.color("secondary")))

    def eventFilter(self, _watched: object, event: QEvent) -> bool:  # noqa: N802
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return False
        if event.key() == Qt.Key.Key_Escape:
            self.close_search()
            self._view.setFocus()
            return True
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._jump(not back)
            return True
        return False
