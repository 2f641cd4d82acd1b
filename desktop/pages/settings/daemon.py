"""The editor of daemon.json: what dockerd is configured with, beside what Galley sets itself.

Invalid JSON is reported while typing, and dockerd's own errors when it is applied. Neither discards
what was typed.
"""

import difflib

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from desktop.actions import settings
from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.session.tasks import Task, TaskState
from desktop.theme.theme import monospace
from desktop.widgets.basics import button, label, row, set_kind
from desktop.widgets.code_edit import CodeEdit, Colors
from engine.provisioning import daemon_json
from vm.errors import Problem

EDIT_LINES, DIFF_LINES = 12, 8


class DaemonEditor(QWidget):
    """`in_force` is what the engine runs with, or will from its next start."""

    def __init__(self, app: AppContext) -> None:
        super().__init__()
        self._app = app
        self.in_force = daemon_json.EMPTY
        self._task: Task | None = None
        self.edit = CodeEdit(app.theme, tr("daemon.json"))
        self.said = label("", "secondary", wrap=True, select=True)
        self.hint = label("", "secondary", wrap=True, select=True)
        self.difference = _text(tr("What would change"))
        self.own = _text(tr("Settings from Galley"))
        self._colors = (
            Colors(app.theme, self.difference.document(), difference=True),
            Colors(app.theme, self.own.document()),
        )
        self.what_changes = label(tr("What would change"), "heading")
        self.containers = label("", "secondary", wrap=True)
        self.apply = button(tr("Apply"), self._apply, "primary")
        self.revert = button(tr("Revert"), self._revert, name=tr("Revert daemon.json"))
        self.show_own = button(tr("Show settings from Galley"), self._fold_own, "link")
        self._lay_out()
        self.edit.setPlainText(self.in_force)
        self.edit.textChanged.connect(self._look)
        app.link.changed.connect(self._look_at_engine)
        self._look()

    @property
    def is_changed(self) -> bool:
        return self.edit.toPlainText().strip() != self.in_force.strip()

    def refresh(self) -> None:
        """Show the current daemon.json, unless it is being edited."""
        home = self._app.link.home
        self._app.tasks.quietly(lambda: daemon_json.read(home), self._take, self._complain)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.refresh()

    def _lay_out(self) -> None:
        line = self.edit.fontMetrics().lineSpacing()
        self.edit.setFixedHeight(EDIT_LINES * line + 18)
        self.difference.setFixedHeight(DIFF_LINES * line + 18)
        self.own.setFixedHeight(EDIT_LINES * line + 18)
        self.own.hide()
        about = tr("Added to the settings from Galley. dockerd validates them.")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addWidget(label(about, "secondary", wrap=True))
        for widget in (self.edit, self.said, self.hint, self.what_changes, self.difference):
            box.addWidget(widget)
        box.addWidget(self.containers)
        box.addLayout(row(self.apply, self.revert, 1, self.show_own))
        box.addWidget(self.own)
        box.addStretch(1)

    # Editing

    def _look(self) -> None:
        """After every change of the text."""
        text = self.edit.toPlainText()
        problem = daemon_json.check(text)
        self.edit.mark(daemon_json.place(text))
        if problem is not None:
            self._say(messages.summary(problem), messages.hint(problem), "error")
        elif self.is_changed:
            self._say(tr("Valid JSON, not yet validated by dockerd."))
        else:
            self._say(tr("Active."))
        self._compare(text)
        self._look_at_engine()

    def _say(self, text: str, hint: str = "", kind: str = "secondary") -> None:
        self.said.setText(text)
        self.edit.setAccessibleDescription(text)
        set_kind(self.said, kind)
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))

    def _compare(self, text: str) -> None:
        names = tr("active"), tr("edited")
        lines = difflib.unified_diff(
            self.in_force.strip().splitlines(), text.strip().splitlines(), *names, "", "", 2, ""
        )
        shown = [line for line in list(lines)[2:] if not line.startswith("@@")]
        self.difference.setPlainText("\n".join(shown))
        for widget in (self.what_changes, self.difference, self.containers):
            widget.setVisible(self.is_changed)

    def _look_at_engine(self) -> None:
        """Update the buttons, and the sentence on what applying means for running containers."""
        text = self.edit.toPlainText()
        usable = daemon_json.check(text) is None
        busy = self._task is not None and not self._task.state.is_over
        self.apply.setEnabled(self.is_changed and usable and not busy)
        self.revert.setEnabled(self.is_changed and not busy)
        self.edit.setReadOnly(busy)
        state = self._app.link.state
        if state is None or not state.is_up:
            words = tr("The engine is not running: dockerd gets these settings when it starts.")
        elif daemon_json.keeps_containers(self.in_force, text):
            words = tr(
                "dockerd restarts, which takes a few seconds. Containers keep running, except in "
                "a swarm."
            )
        else:
            words = tr(
                "dockerd restarts. Containers are stopped, because live-restore is off; those "
                "with a restart policy start again."
            )
        self.containers.setText(words)

    # Applying

    def _apply(self) -> None:
        text = self.edit.toPlainText()
        if not text.endswith("\n"):
            text += "\n"
        self._say(tr("dockerd validates it and restarts…"))

        def done(_none: object) -> None:
            self._take(text)
            self._app.window.toast(tr("daemon.json was applied"))

        self._task = settings.apply_daemon_json(self._app, text, done, self._complain)
        self._task.changed.connect(self._follow)
        self._look_at_engine()

    def _follow(self) -> None:
        """Follow the task. A cancel only ends the wait, so the result is requested."""
        self._look_at_engine()
        if self._task is not None and self._task.state is TaskState.CANCELLED:
            self._look()
            self.refresh()

    def _complain(self, problem: Problem) -> bool:
        """Show the error beside the text, and with details also as a toast, which can show them."""
        self._say(messages.summary(problem), messages.hint(problem), "error")
        return not problem.details

    def _take(self, text: str) -> None:
        """`text` is in use now."""
        was_changed, self.in_force = self.is_changed, text
        if not was_changed:
            self._put(text)
        self._look()

    def _revert(self) -> None:
        self._put(self.in_force)
        self._look()
        self.edit.setFocus()

    def _put(self, text: str) -> None:
        """Replace the editor's text, so that Ctrl+Z can undo it."""
        if text == self.edit.toPlainText():
            return
        cursor = self.edit.textCursor()
        cursor.select(cursor.SelectionType.Document)
        cursor.insertText(text)

    def _fold_own(self) -> None:
        if not self.own.toPlainText():
            self.own.setPlainText(daemon_json.base())
        self.own.setVisible(self.own.isHidden())
        shown = not self.own.isHidden()
        words = tr("Hide settings from Galley") if shown else tr("Show settings from Galley")
        self.show_own.setText(words)
        self.show_own.setAccessibleName(words)


def _text(name: str) -> QPlainTextEdit:
    made = QPlainTextEdit(readOnly=True)
    made.setFont(monospace())
    made.setAccessibleName(name)
    made.setTabChangesFocus(True)
    made.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    return made
