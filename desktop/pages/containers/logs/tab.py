"""A container's log: followed, searched, saved. A feed ends with its container; when that starts
again, the log continues where it was. Next: `feed.py`, then `desktop/widgets/log/view.py`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QTimer
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QPushButton, QStackedWidget, QVBoxLayout

from desktop.actions.container_logs import save_log
from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_save
from desktop.i18n import messages
from desktop.i18n.text import plural, tr
from desktop.pages.containers.logs.feed import LogFeed, Mark, RowMaker
from desktop.pages.containers.logs.search_bar import LogSearchBar
from desktop.pages.containers.tab import Tab
from desktop.widgets.basics import button, icon_button, label, row
from desktop.widgets.empty import Empty
from desktop.widgets.levels import step_out_of
from desktop.widgets.log.rows import LogRow
from desktop.widgets.log.view import LogView
from engine.docker.types import Event
from vm.errors import Problem

WRAP, MOMENTS = "log_wrap", "log_moments"  # what the window remembers
QUIET_MS = 400  # until "nothing yet" is shown


class LogsTab(Tab):
    def __init__(self, app: AppContext, key: str) -> None:
        super().__init__()
        self.app = app
        self.key = key
        self.view = LogView(app.theme)
        self.view.setAccessibleName(tr("Log"))
        self.search_bar = LogSearchBar(app.theme, self.view)
        self._mark = Mark()
        self._maker = RowMaker()
        self._feed: LogFeed | None = None
        self._again = False  # it has started again before its log had ended
        self._left = False
        self._heard = app.connection.is_heard
        self.follow_button = self._switch("follow", tr("Follow"), self._choose_follow, True)
        self.moments_button = self._switch(
            "clock", tr("Times"), self._choose_moments, app.prefs.flag(MOMENTS)
        )
        self.wrap_button = self._switch(
            "wrap", tr("Wrap"), self._choose_wrap, app.prefs.flag(WRAP, True)
        )
        self.note = label("", "secondary", wrap=True)
        self.note.hide()
        self.newer = button("", self.view.follow, "primary")
        self.newer.setParent(self.view)
        self.newer.hide()
        self._lay_out()
        self._connect()
        self._choose_moments(self.moments_button.isChecked())
        self._choose_wrap(self.wrap_button.isChecked())
        self._read()

    @property
    def is_reading(self) -> bool:
        return self._feed is not None

    def search(self) -> None:
        self.search_bar.begin(self.view.selected_text())

    def step_out(self) -> bool:
        return step_out_of(self.search_bar.field, self.view)

    def shown(self) -> None:
        if not self.search_bar.field.hasFocus():
            self.view.setFocus()

    def leave(self) -> None:
        self._left = True
        self.search_bar.close_search()
        self._quiet.stop()
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _switch(
        self, icon: str, name: str, choose: Callable[[bool], object], on: bool
    ) -> QPushButton:
        made = icon_button(self.app.theme, icon, name, text=name)
        made.setCheckable(True)
        made.setChecked(on)
        made.toggled.connect(choose)
        return made

    def _lay_out(self) -> None:
        theme = self.app.theme
        tools = row(
            self.follow_button,
            self.moments_button,
            self.wrap_button,
            1,
            self.search_bar,
            icon_button(theme, "copy", tr("Copy"), self._copy),
            icon_button(theme, "save", tr("Save the whole log…"), self._ask_where),
            icon_button(theme, "clear", tr("Clear the view"), self.clear),
            gap=4,
        )
        self.empty = Empty(
            theme, "logs", tr("No output yet"), tr("Output of the container appears here.")
        )
        self.trouble = Empty(theme, "error", tr("The log cannot be read"), "")
        self.stack = QStackedWidget()
        for widget in (self.view, self.empty, self.trouble):
            self.stack.addWidget(widget)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 8, 0, 0)
        box.setSpacing(8)
        box.addLayout(tools)
        box.addWidget(self.stack, 1)
        box.addWidget(self.note)

    def _connect(self) -> None:
        self._quiet = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._quiet.timeout.connect(self._show_right)
        self.view.following_changed.connect(self.follow_button.setChecked)
        self.view.unseen_changed.connect(self._show_unseen)
        self.view.find_wanted.connect(self.search)
        self.app.stores.told.connect(self._on_event)
        self.app.connection.changed.connect(self._follow_connection)
        for keys, run in (("F3", self.search_bar.next), ("Shift+F3", self.search_bar.previous)):
            QShortcut(QKeySequence(keys), self).activated.connect(run)

    # Reading

    def _read(self) -> None:
        """Begin, or continue where the last read ended."""
        if self._left or self._feed is not None:
            return
        self._again = False
        self._feed = LogFeed(self.app, self.key, self._mark, self._maker, self)
        self._feed.arrived.connect(self._take)
        self._feed.ended.connect(self._end)
        self._feed.open()
        self._note("")
        self._quiet.start()

    def _take(self, rows: Sequence[LogRow]) -> None:
        self.view.add(rows)
        self.search_bar.go_on()
        if self.stack.currentWidget() is not self.view:
            self._show_right()

    def _end(self, problem: Problem | None) -> None:
        if self._feed is not None:
            self._feed.deleteLater()
            self._feed = None
        if self._again:
            self._read()
            return
        ended = tr("The container has exited. Its log continues when it starts again.")
        self._note(messages.summary(problem) if problem else ended)
        self._show_right(problem)

    def _show_right(self, problem: Problem | None = None) -> None:
        if len(self.view.rows):
            self.stack.setCurrentWidget(self.view)
        elif problem is not None:
            self.trouble.set_text(messages.told(problem))
            self.stack.setCurrentWidget(self.trouble)
            self._note("")
        elif not self._quiet.isActive():
            self.stack.setCurrentWidget(self.empty)

    def _note(self, words: str) -> None:
        self.note.setText(words)
        self.note.setVisible(bool(words))

    def _on_event(self, event: Event) -> None:
        if event.kind == "container" and event.id == self.key and event.action == "start":
            self._again = True
            self._read()

    def _follow_connection(self) -> None:
        """Read the log again when the engine is back, if the container runs."""
        was, self._heard = self._heard, self.app.connection.is_heard
        if self._heard and not was:
            self._again = True
            self._read()

    # Options

    def _choose_follow(self, on: bool) -> None:
        if on == self.view.follows:
            return
        if on:
            self.view.follow()
        else:
            self.view.stop_following()

    def _choose_wrap(self, on: bool) -> None:
        self.app.prefs.set_flag(WRAP, on)
        self.view.set_wrap(on)

    def _choose_moments(self, on: bool) -> None:
        self.app.prefs.set_flag(MOMENTS, on)
        self.view.set_moments(on)

    def _copy(self) -> None:
        lines = self.view.copy()
        if lines:
            self.app.window.toast(tr("Copied"), plural("%n lines", "%n line", lines))

    def clear(self) -> None:
        self.view.clear()
        self.search_bar.go_on()

    def _ask_where(self) -> None:
        found = self.app.stores.containers.rows.get(self.key)
        name = found.name if found else self.key[:12]
        moments = self.moments_button.isChecked()
        save = partial(save_log, self.app, self.key, name, moments=moments)
        title = tr("Save the log of {name}", name=name)
        ask_save(self, title, f"{name}.log", "log", save)

    def _show_unseen(self, number: int) -> None:
        self.newer.setText(plural("%n new lines", "%n new line", number))
        self.newer.setAccessibleName(self.newer.text())
        self.newer.setVisible(number > 0)
        self._place_newer()

    def _place_newer(self) -> None:
        if self.newer.isVisibleTo(self.view):
            self.newer.adjustSize()
            room = self.view.viewport().rect()
            left = (room.width() - self.newer.width()) // 2
            self.newer.move(left, room.height() - self.newer.height() - 12)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._place_newer)
