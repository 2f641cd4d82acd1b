"""The frame of the Run dialogs: the fields scroll, the buttons stay.

It does not block the window while an image is pulled. Closing it does not cancel the task. Next:
`dialog.py`.
"""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLabel, QProgressBar, QVBoxLayout, QWidget

from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.session.tasks import Task
from desktop.widgets.basics import button, holder, label, line, row, scrolled
from vm.errors import Problem


class RunFrame(QDialog):
    """Subclasses fill `asked` and implement `submit`."""

    def __init__(self, parent: QWidget, title: str, agree: str, explanation: str = "") -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(660, 660)
        self.is_left = False
        self.task: Task | None = None
        self.asked = QVBoxLayout()
        self.asked.setContentsMargins(24, 4, 24, 16)
        self.asked.setSpacing(16)
        self.questions = holder(self.asked)
        self.problem: QLabel = label("", "error", wrap=True, select=True)
        self.problem.hide()
        self.note = label("", "secondary")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setAccessibleName(title)
        self.bar.hide()
        self.agree = button(agree, self.submit, "primary")
        self.agree.setDefault(True)
        self.cancel = button(tr("Cancel"), self.reject)
        self.links = row(gap=4)
        foot = QVBoxLayout()
        foot.setContentsMargins(24, 12, 24, 16)
        foot.setSpacing(8)
        foot.addWidget(self.problem)
        foot.addWidget(self.bar)
        foot.addLayout(row(self.links, self.note, 1, self.cancel, self.agree))
        head = QVBoxLayout()
        head.setContentsMargins(24, 20, 24, 12)
        head.setSpacing(8)
        head.addWidget(label(title, "title", wrap=True))
        if explanation:
            head.addWidget(label(explanation, "secondary", wrap=True))
        self.area = scrolled(self.questions)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addLayout(head)
        box.addWidget(self.area)
        box.addWidget(line())
        box.addLayout(foot)
        self.finished.connect(self._leave)

    def open(self) -> None:
        """Beside the window, which stays usable."""
        self.show()
        self.raise_()

    def submit(self) -> None:
        """The primary button."""
        raise NotImplementedError

    def follow(self, task: Task) -> None:
        """Show how far it is."""
        self.task = task
        self.problem.hide()
        self.questions.setEnabled(False)
        self.agree.setEnabled(False)
        self.cancel.setText(tr("Close"))
        self.bar.setRange(0, 0)
        self.bar.show()
        self.note.setText(tr("Starting"))
        task.changed.connect(self._show_progress)

    def granted(self, _outcome: object = None) -> None:
        if not self.is_left:
            self.accept()

    def refused(self, problem: Problem) -> bool:
        """Whether the error is shown here: False after the dialog was closed."""
        if self.is_left:
            return False
        self._rest()
        self.complain(messages.told(problem, "\n"))
        return True

    def complain(self, sentence: str) -> None:
        self.problem.setText(sentence)
        self.problem.show()

    def _rest(self) -> None:
        """Everything can be changed again."""
        self.questions.setEnabled(True)
        self.agree.setEnabled(True)
        self.cancel.setText(tr("Cancel"))
        self.bar.hide()
        self.note.setText("")

    def _show_progress(self) -> None:
        task = self.task
        if task is None or self.is_left:
            return
        if task.state.is_over:
            self._rest()
            return
        self.note.setText(task.note)
        if task.fraction is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * task.fraction))

    def _leave(self) -> None:
        self.is_left = True
