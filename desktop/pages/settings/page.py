"""Every setting, drawn from the schema, topic by topic.

The file is authoritative: it is read when the page is shown, after each change, and when the
supervisor reports a new status. Next: `fields.py`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QLineEdit, QVBoxLayout

from desktop.actions import engine, settings
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.pages.page import Command, Page
from desktop.pages.settings.fields import Field, FormRow, Section
from desktop.pages.settings.logins import LoginsSection
from desktop.pages.settings.pending import is_supervisors, pending
from desktop.pages.settings.window_settings import WindowSection
from desktop.session.tasks import Task
from desktop.theme import icons
from desktop.widgets.basics import button, column, holder, label, row, scrolled
from desktop.widgets.levels import step_out_of
from desktop.widgets.problem_card import ProblemCard
from engine.settings.schema import topics
from engine.settings.setting import Setting, Value
from engine.settings.store import Entry, SettingsStore
from vm.errors import Problem

WIDEST = 880


class Read(msgspec.Struct, frozen=True):
    """The file at one moment."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


class SettingsPage(Page):
    def __init__(self, app: AppContext) -> None:
        super().__init__(app, tr("Settings"))
        self.fields: dict[str, Field] = {}
        self.sections: list[Section] = []
        self._visible = False
        self._wanted = ""  # the setting to be brought into view
        self._reading = self._again = False
        self._asked: dict[str, Callable[[], Task] | None] = {}  # changes under way: the next
        self._doubtful: set[str] = set()  # settings whose value in the current read may be outdated
        self._read: Read | None = None
        self._before: dict[str, str] = {}
        self._era: tuple[object, ...] = ()
        self._problems: tuple[Problem, ...] = ()
        self.filter = self._search_field()
        self.header.addStretch(1)
        self.header.addWidget(self.filter)
        self.restart_words = label("", "heading", wrap=True)
        self.restart_why = label("", "secondary", wrap=True)
        self.restart = button(tr("Restart the engine"), self._restart, "primary")
        self.strip = self._restart_strip()
        self._troubles = column(gap=12)
        self._form = column(gap=24)
        self.nothing = label(tr("No setting matches the search."), "secondary")
        self._lay_out()
        app.link.changed.connect(self._load)
        self.window_section = WindowSection(app)
        self._add(self.window_section)
        self.logins = LoginsSection(app)
        self._add(self.logins)
        self._add_daemon_editor()

    def _search_field(self) -> QLineEdit:
        made = QLineEdit(placeholderText=tr("Search"), clearButtonEnabled=True)
        made.setAccessibleName(tr("Search the settings"))
        made.setFixedWidth(220)
        made.addAction(
            QAction(icons.icon("search", self.app.theme.color("secondary")), "", made),
            QLineEdit.ActionPosition.LeadingPosition,
        )
        made.textChanged.connect(lambda _text: self._search())
        return made

    def _restart_strip(self) -> QFrame:
        made = QFrame()
        made.setProperty("kind", "banner")
        box = row(column(self.restart_words, self.restart_why, gap=2), self.restart, gap=12)
        box.setStretch(0, 1)
        box.setContentsMargins(14, 10, 14, 10)
        made.setLayout(box)
        made.hide()
        return made

    def _lay_out(self) -> None:
        form = holder(column(self._troubles, self._form, self.nothing, 1, gap=12))
        form.setMaximumWidth(WIDEST)
        whole = row(form, 1, gap=0)
        whole.setStretch(0, 100)
        whole.setContentsMargins(24, 0, 24, 16)
        self.strip.setMaximumWidth(WIDEST)
        above = row(self.strip, 1, gap=0)
        above.setStretch(0, 100)
        above.setContentsMargins(24, 0, 24, 12)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self.body.addLayout(above)
        self._scroll = scrolled(holder(whole))
        self.body.addWidget(self._scroll)
        self.nothing.hide()

    def _add_daemon_editor(self) -> None:
        """The engine's own settings, last: they are another file, which dockerd checks itself."""
        from desktop.pages.settings.daemon import DaemonEditor

        edit = DaemonEditor(self.app)
        one = FormRow("daemon.json", "", edit, "dockerd registry mirrors dns log", wide=True)
        self._add(Section(tr("Docker Engine"), [one]))

    # Page

    def shown(self) -> None:
        self._visible = True
        self.window_section.follow()
        self.logins.refresh()
        self._load()

    def hidden(self) -> None:
        self._visible = False

    def refresh(self) -> None:
        self._load()

    def open(self, key: str, tab: str = "") -> None:
        """Bring a setting into view, ready to be changed."""
        del tab
        self.filter.clear()
        self._wanted = key
        self._show_wanted()

    def commands(self) -> list[Command]:
        """Every setting by its label, once they have been read."""
        return [
            Command(
                tr(field.entry.setting.label), partial(self._go, name), tr("setting"), "settings"
            )
            for name, field in self.fields.items()
        ]

    def focus_filter(self) -> None:
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def step_out(self) -> bool:
        return step_out_of(self.filter, self)

    def _go(self, name: str) -> None:
        self.app.window.go("settings", name)

    def _show_wanted(self) -> None:
        """Now, or when the settings have been read."""
        field = self.fields.get(self._wanted)
        if field is not None:
            self._wanted = ""
            field.editor.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
            # Fields that were made just now get their places first.
            QTimer.singleShot(0, field, partial(self._scroll.ensureWidgetVisible, field))

    # Reading

    def _load(self) -> None:
        """Many calls during a read cause one more read."""
        if not self._visible:
            return
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        self._doubtful = {*self._asked}
        home = self.app.link.home

        def work() -> Read:
            store = SettingsStore(home)
            return Read(store.list(), store.current().problems)

        self.app.tasks.quietly(work, self._show, self._fail)

    def _show(self, read: Read) -> None:
        self._read = read
        self._note_era()
        if not self.fields:
            self._build(read.entries)
        for entry in read.entries:
            if entry.setting.name not in self._doubtful:
                self.fields[entry.setting.name].show_entry(entry)
        self._show_problems(read.problems)
        self._show_pending()
        self._show_wanted()
        self._ended_reading()

    def _fail(self, problem: Problem) -> None:
        """The file cannot be read at all."""
        self._show_problems((problem,))
        self._ended_reading()

    def _ended_reading(self) -> None:
        self._reading = False
        if self._again:
            self._load()

    def _note_era(self) -> None:
        """After a start of the machine, or of another supervisor, all settings are in effect."""
        status = self.app.link.status
        if status is None or self._read is None:
            return
        era = (status.machine.backend, status.machine.started_at)
        if era != self._era:
            self._era = era
            self._before = {entry.setting.name: entry.text for entry in self._read.entries}

    def _build(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.fields[entry.setting.name] = Field(entry, self._give, self._reset)
        for number, (topic, names) in enumerate(topics()):
            self._add(Section(tr(topic.value), [self.fields[name] for name in names]), number)
        self._search()

    def _add(self, section: Section, place: int = -1) -> None:
        if place < 0:
            self.sections.append(section)
        else:
            self.sections.insert(place, section)
        self._form.insertWidget(place, section)

    def _show_problems(self, problems: tuple[Problem, ...]) -> None:
        if problems == self._problems:
            return
        self._problems = problems
        _clear(self._troubles)
        for problem in problems:
            again = button(tr("Read it again"), self._load, "link")
            self._troubles.addWidget(ProblemCard(self.app.theme, problem, again))

    def _search(self) -> None:
        found = [section.search(self.filter.text()) for section in self.sections]
        self.nothing.setVisible(not any(found))

    # Changing

    def _give(self, setting: Setting, value: Value) -> None:
        """Sent as text, since a bare number would be read as GiB."""
        name, text = setting.name, setting.text(value)
        done, refused = partial(self._done, name), partial(self._refused, name)
        self._request(name, lambda: settings.change(self.app, name, text, done, refused))

    def _reset(self, name: str) -> None:
        done, refused = partial(self._done, name), partial(self._refused, name)
        self._request(name, lambda: settings.reset(self.app, name, done, refused))

    def _request(self, name: str, change: Callable[[], Task]) -> None:
        """One change at a time for each setting; of waiting ones only the last. A read meanwhile is
        older than the user's change, and must not reset the field."""
        self._doubtful.add(name)
        if name in self._asked:
            self._asked[name] = change
            return
        self._asked[name] = None
        task = change()
        task.changed.connect(lambda: self._answered(name) if task.state.is_over else None)

    def _answered(self, name: str) -> None:
        if (change := self._asked.pop(name)) is not None:
            self._request(name, change)
        else:
            self._load()

    def _done(self, name: str, _reply: object) -> None:
        self.fields[name].settle()
        if name == "use_keyring":
            self.logins.refresh()
        if name not in self._asked:  # a second attempt; else `_answered` reads
            self._load()

    def _refused(self, name: str, problem: Problem) -> bool:
        """Shown beside the field, where it can be corrected."""
        self.fields[name].refuse(problem)
        return self._visible

    # Restarting

    def _show_pending(self) -> None:
        status, read = self.app.link.status, self._read
        machine = status.machine if status else None
        waiting = pending(read.entries, self._before, machine) if read else ()
        self.strip.setVisible(bool(waiting))
        if not waiting:
            return
        names = ", ".join(tr(setting.label) for setting in waiting)
        self.restart_words.setText(tr("Changed and not in use yet: {names}", names=names))
        reasons = dict.fromkeys(tr(setting.needs_restart) for setting in waiting)
        self.restart_why.setText(" ".join(reasons))
        words = (
            tr("Restart the background process")
            if _is_supervisors(waiting)
            else tr("Restart the engine")
        )
        self.restart.setText(words)
        self.restart.setAccessibleName(words)
        self.restart.setEnabled(self.app.link.requested is None)

    def _restart(self) -> None:
        status, read = self.app.link.status, self._read
        if status is None or read is None:
            return
        self.restart.setEnabled(False)
        if _is_supervisors(pending(read.entries, self._before, status.machine)):
            engine.replace_supervisor(self.app)
        else:
            engine.restart(self.app)


def _is_supervisors(waiting: Sequence[Setting]) -> bool:
    return any(is_supervisors(setting) for setting in waiting)


def _clear(box: QVBoxLayout) -> None:
    while box.count():
        item = box.takeAt(0)
        widget = item.widget() if item is not None else None
        if widget is not None:
            widget.hide()
            widget.deleteLater()
