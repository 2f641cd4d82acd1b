"""The output of `docker inspect`, to read and to copy."""

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget
from shiboken6 import Shiboken

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.theme.theme import monospace
from desktop.widgets.basics import column, icon_button, label, row
from vm.errors import Problem


class InspectText(QWidget):
    """`fetch` works in a worker thread."""

    def __init__(self, app: AppContext, fetch: Callable[[], bytes]) -> None:
        super().__init__()
        self._app = app
        self._fetch = fetch
        self.note = label(tr("Querying the engine…"), "secondary", wrap=True)
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setFont(monospace())
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(tr("Inspect"))
        copy = icon_button(app.theme, "copy", tr("Copy"), self._copy, text=tr("Copy"), kind="")
        copy.setText(tr("Copy"))
        head = row(self.note, copy)
        head.setStretch(0, 1)
        self.setLayout(column(head, self.text))
        self.setFocusProxy(self.text)
        self.refresh()

    def refresh(self) -> None:
        self._app.tasks.quietly(self._fetch, self._show, self._fail)

    def _show(self, answer: bytes) -> None:
        if not Shiboken.isValid(self):  # closed meanwhile
            return
        text = answer.decode("utf-8", "replace")
        if text != self.text.toPlainText():
            self.text.setPlainText(text)
        self.note.setText(tr("As reported by the engine"))

    def _fail(self, problem: Problem) -> None:
        if Shiboken.isValid(self):
            self.note.setText(messages.told(problem))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self._app.window.toast(tr("Copied"))
