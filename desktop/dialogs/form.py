"""A dialog with a few fields that stays open until its request has succeeded.

add_field   a label, the field, and space for the error message about it
submit      calls `send`, which checks the fields and starts the task
refused     the engine refused: shows its message, and keeps what was typed
"""

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit, QVBoxLayout, QWidget
from shiboken6 import Shiboken

from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.widgets.basics import button, column, label, row
from vm.errors import Problem


class Field:
    """A field with its label. `complain` marks it, "" removes the mark."""

    def __init__(self, title: str, widget: QWidget, hint: str) -> None:
        self.widget = widget
        self.title = label(title, "secondary")
        self.title.setBuddy(widget)
        self.hint = hint
        self.is_wrong = False
        self.below = label(hint, "secondary", wrap=True)
        if not hint:  # to show it before it has a parent would make a window of it
            self.below.hide()
        widget.setAccessibleName(title)
        widget.setAccessibleDescription(hint)
        self.layout = column(self.title, widget, self.below, gap=4)
        if isinstance(widget, QLineEdit):
            widget.textEdited.connect(lambda _text: self.complain(""))

    def set_visible(self, visible: bool) -> None:
        self.title.setVisible(visible)
        self.widget.setVisible(visible)
        self.below.setVisible(visible and bool(self.below.text()))

    def complain(self, sentence: str) -> bool:
        """Show the error. Returns whether there is one."""
        self.is_wrong = wrong = bool(sentence)
        self.below.setText(sentence or self.hint)
        self.below.setVisible(bool(sentence or self.hint))
        self.widget.setAccessibleDescription(sentence or self.hint)
        _restyle(self.below, "kind", "error" if wrong else "secondary")
        _restyle(self.widget.focusProxy() or self.widget, "wrong", wrong)
        return wrong


class FormDialog(QDialog):
    """Subclasses add their fields and fill in `send`."""

    def __init__(self, parent: QWidget, title: str, agree: str, explanation: str = "") -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setMinimumWidth(460)
        self._all: list[Field] = []
        self.fields = QVBoxLayout()
        self.fields.setSpacing(12)
        self.problem: QLabel = label("", "error", wrap=True, select=True)
        self.problem.hide()
        self.agree = button(agree, self.submit, "primary")
        self.agree.setDefault(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 16)
        box.setSpacing(12)
        box.addWidget(label(title, "heading", wrap=True))
        if explanation:
            box.addWidget(label(explanation, "secondary", wrap=True))
        box.addLayout(self.fields)
        box.addWidget(self.problem)
        self.asking = label(tr("Querying the engine…"), "secondary")
        self.asking.hide()
        box.addLayout(row(self.asking, 1, button(tr("Cancel"), self.reject), self.agree))

    def add_field(self, title: str, widget: QWidget, hint: str = "") -> Field:
        field = Field(title, widget, hint)
        self._all.append(field)
        self.fields.addLayout(field.layout)
        return field

    def send(self) -> bool:
        """Check the fields and begin; False where one of them is wrong."""
        raise NotImplementedError

    def submit(self) -> None:
        self.problem.hide()
        if self.send():
            self._ask(True)
        elif wrong := [field for field in self._all if field.is_wrong]:
            wrong[0].widget.setFocus()
        self.fit()

    def fit(self) -> None:
        """As high as its sentences need to be at this width."""
        layout = self.layout()
        if Shiboken.isValid(self) and layout is not None:
            layout.activate()
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.fit()

    def granted(self, _outcome: object = None) -> None:
        """The request has succeeded."""
        if Shiboken.isValid(self):  # it was not closed meanwhile
            self.accept()

    def refused(self, problem: Problem) -> bool:
        """Shows the error in the dialog, so that it needs no toast."""
        if not Shiboken.isValid(self):
            return False
        self.problem.setText(messages.told(problem, "\n"))
        self.problem.show()
        self._ask(False)
        self.fit()
        return True

    def _ask(self, under_way: bool) -> None:
        if Shiboken.isValid(self):
            self.agree.setDisabled(under_way)
            self.asking.setVisible(under_way)


def _restyle(widget: QWidget, name: str, value: object) -> None:
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
