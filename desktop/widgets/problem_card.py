"""A problem that stays on a page until it is solved: sentence, hint, details. Short messages are
toasts (`toasts.py`).
"""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QPushButton

from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.theme import icons
from desktop.theme.theme import Theme, monospace
from desktop.widgets.basics import button, column, label, row
from vm.errors import Problem

DETAILS_HEIGHT = 160


class ProblemCard(QFrame):
    """`buttons`: what can be done about it, beside the details."""

    def __init__(self, theme: Theme, problem: Problem, *buttons: QPushButton) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.problem = problem
        self._theme = theme
        self._picture = label()
        self.details = QPlainTextEdit(problem.details, readOnly=True)
        self.details.setFont(monospace())
        self.details.setAccessibleName(tr("Details"))
        self.details.setFixedHeight(DETAILS_HEIGHT)
        self.details.hide()
        self.more = button(tr("Details"), self._fold, "link")
        copy = button(tr("Copy"), self._copy, "link", name=tr("Copy the problem"))
        hint = label(messages.hint(problem), "secondary", wrap=True, select=True)
        words = column(
            label(messages.summary(problem), "heading", wrap=True, select=True),
            hint,
            row(*buttons, self.more, copy, 1),
            self.details,
            gap=6,
        )
        box = row(self._picture, words, gap=12)
        box.setAlignment(self._picture, Qt.AlignmentFlag.AlignTop)
        box.setStretch(1, 1)
        box.setContentsMargins(16, 12, 16, 12)
        self.setLayout(box)
        self.more.setVisible(bool(problem.details))  # not before they have a parent
        hint.setVisible(bool(problem.hint))
        self._apply_theme()
        theme.changed.connect(self._apply_theme)

    def _apply_theme(self) -> None:
        self._picture.setPixmap(icons.pixmap("error", self._theme.color("error"), 18))

    def _fold(self) -> None:
        self.details.setVisible(self.details.isHidden())
        self.more.setText(tr("Details") if self.details.isHidden() else tr("Hide details"))
        self.more.setAccessibleName(self.more.text())

    def _copy(self) -> None:
        parts = (self.problem.summary, self.problem.hint, self.problem.details)
        QGuiApplication.clipboard().setText("\n".join(filter(None, parts)))
