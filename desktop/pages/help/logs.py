"""The logs of Galley and its parts, followed while they are shown."""

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget
from shiboken6 import Shiboken

from desktop.actions import report
from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_save
from desktop.i18n import messages
from desktop.i18n.text import plural, tr
from desktop.pages.help.log_source import EngineSource, FileSource, LogSource
from desktop.widgets.basics import column, icon_button, label, row
from desktop.widgets.log.rows import LogRow, LogSearch
from desktop.widgets.log.view import LogView
from vm.errors import Problem

SEARCH_SECONDS = 0.008  # of one turn of the window


class LogsView(QWidget):
    """`source` reads while this is on the screen, and only then."""

    def __init__(self, app: AppContext) -> None:
        super().__init__()
        self._app = app
        self.source: LogSource | None = None
        self.which = QComboBox()
        self.which.setAccessibleName(tr("Which log"))
        for component, title in (
            ("engine", tr("Docker Engine")),
            ("vm", tr("Virtual machine")),
            ("supervisor", tr("Galley's background process")),
            ("backend", tr("The program that runs the machine")),
        ):
            self.which.addItem(title, component)
        self.words = QLineEdit(placeholderText=tr("Search"), clearButtonEnabled=True)
        self.words.setAccessibleName(tr("Search in the log"))
        self.words.setMaximumWidth(240)
        self.found = label("", "secondary")
        self.view = LogView(app.theme)
        self.view.setAccessibleName(tr("Log"))
        self.note = label("", "secondary", wrap=True)
        theme = app.theme
        self._tools = (
            icon_button(theme, "up", tr("Previous match"), lambda: self.go_to(forward=False)),
            icon_button(theme, "down", tr("Next match"), lambda: self.go_to(forward=True)),
        )
        self.follow = icon_button(theme, "follow", tr("Follow new output"), self.view.follow)
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.wrap = icon_button(theme, "wrap", tr("Wrap long lines"))
        self.wrap.setCheckable(True)
        self.wrap.setChecked(True)
        save = icon_button(theme, "save", tr("Save this log…"), self._ask_where)
        bar = row(self.which, self.words, self.found, *self._tools, 1, self.wrap, self.follow, save)
        self.setLayout(column(bar, self.note, self.view))
        self._searching = QTimer(self, interval=0)
        self._connect()

    def _connect(self) -> None:
        self.which.currentIndexChanged.connect(lambda _index: self.read_again())
        self.words.textChanged.connect(self._search)
        self.words.returnPressed.connect(lambda: self.go_to(forward=True))
        self.wrap.toggled.connect(self.view.set_wrap)
        self.view.following_changed.connect(self.follow.setChecked)
        self.follow.clicked.connect(lambda: self.follow.setChecked(self.view.follows))
        self.view.find_wanted.connect(self.words.setFocus)
        self._searching.timeout.connect(self._search_on)
        back = QShortcut(QKeySequence("Shift+Return"), self.words)
        back.setContext(Qt.ShortcutContext.WidgetShortcut)
        back.activated.connect(lambda: self.go_to(forward=False))

    @property
    def component(self) -> str:
        return str(self.which.currentData())

    def choose(self, component: str) -> None:
        self.which.setCurrentIndex(max(0, self.which.findData(component)))

    def read_again(self) -> None:
        self._leave()
        self.view.clear()
        self._search(self.words.text())
        self.note.hide()
        if not self.isVisible():
            return
        kind = self.component
        self.source = (
            EngineSource(self._app, self) if kind == "engine" else FileSource(self._app, kind, self)
        )
        self.source.arrived.connect(self._add)
        self.source.ended.connect(self._end)
        self.source.open()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.read_again()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._leave()

    def _leave(self) -> None:
        source, self.source = self.source, None
        if source is not None and Shiboken.isValid(source):
            source.close()
            source.arrived.disconnect()
            source.ended.disconnect()
            source.deleteLater()

    def _add(self, rows: list[LogRow]) -> None:
        self.note.hide()
        self.view.add(rows)
        if self.view.search is not None:
            self._searching.start()

    def _end(self, problem: Problem | None) -> None:
        text = tr("This log is empty.") if not len(self.view.rows) else ""
        if problem is not None:
            text = messages.told(problem)
        elif self.component == "engine":
            text = tr("The machine has ended. Press F5 to read it again.")
        self.note.setText(text)
        self.note.setVisible(bool(text))

    # Searching

    def _search(self, words: str) -> None:
        self.view.set_search(LogSearch(words, self.view.rows) if words else None)
        self.found.setText("")
        for tool in self._tools:
            tool.setEnabled(bool(words))
        if words:
            self._searching.start()
        else:
            self._searching.stop()

    def _search_on(self) -> None:
        """A little at a time, for the log may be long."""
        search = self.view.search
        if search is None or search.go_on(SEARCH_SECONDS):
            self._searching.stop()
        self._say_found()
        self.view.viewport().update()

    def _say_found(self) -> None:
        search = self.view.search
        if search is None:
            return
        rank, count = search.rank(self.view.hit), len(search.hits)
        if rank:
            self.found.setText(tr("{rank} of {n}", rank=rank, n=count))
        elif count:
            self.found.setText(plural("%n matches", "%n match", count))
        else:
            self.found.setText(tr("no match"))

    def go_to(self, *, forward: bool) -> None:
        search = self.view.search
        if search is None:
            return
        step = search.following if forward else search.preceding
        hit = step(self.view.hit)
        if hit is not None:
            self.view.show_hit(hit)
        self._say_found()

    # Saving

    def _ask_where(self) -> None:
        ask_save(self, tr("Save this log"), f"galley-{self.component}.log", "log", self._save)

    def _save(self, path: Path) -> None:
        report.save_log(self._app, self.view.whole_text() + "\n", path)
