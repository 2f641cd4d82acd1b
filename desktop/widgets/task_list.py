"""The list of tasks that the status bar opens."""

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFrame, QProgressBar, QVBoxLayout, QWidget

from desktop.i18n.text import percent, tr
from desktop.session.tasks import Task, Tasks, TaskState
from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.widgets.basics import button, holder, icon_button, label, row, scrolled
from desktop.widgets.elided import Elided
from desktop.widgets.transfer import TransferBars
from engine.docker.types import TransferProgress

WIDTH = 420
ICONS = {
    TaskState.WAITING: ("tasks", "secondary"),
    TaskState.RUNNING: ("refresh", "accent"),
    TaskState.DONE: ("check", "running"),
    TaskState.FAILED: ("error", "error"),
    TaskState.CANCELLED: ("close", "exited"),
}


class TaskCard(QWidget):
    """One task: its name, its progress, and a cancel button."""

    def __init__(self, task: Task, theme: Theme) -> None:
        super().__init__()
        self.task = task
        self._theme = theme
        self._picture = label()
        self._title = Elided(task.title, "heading")
        self._note = label("", "secondary", wrap=True)
        self._note.setContentsMargins(22, 0, 0, 0)  # below the title, not the picture
        self._bar = QProgressBar(textVisible=False)
        self._bar.setAccessibleName(task.title)
        self._layers = TransferBars(theme)
        self._cancel = icon_button(theme, "close", tr("Cancel"), task.cancel.set)
        head = row(self._picture, self._title, 1, self._cancel)
        box = QVBoxLayout(self)
        box.setContentsMargins(14, 6, 8, 8)
        box.setSpacing(4)
        box.addLayout(head)
        box.addWidget(self._bar)
        box.addWidget(self._layers)
        box.addWidget(self._note)
        task.changed.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        task = self.task
        name, color = ICONS[task.state]
        self._picture.setPixmap(icons.pixmap(name, self._theme.color(color), 14))
        self._note.setText(task.note)
        self._note.setVisible(bool(task.note))
        detail = task.detail if not task.state.is_over else None
        self._layers.show_progress(detail if isinstance(detail, TransferProgress) else None)
        self._bar.setVisible(not task.state.is_over)
        self._cancel.setVisible(not task.state.is_over)
        if task.fraction is None:
            self._bar.setRange(0, 0 if task.state is TaskState.RUNNING else 1)
        else:
            self._bar.setRange(0, 1000)
            self._bar.setValue(round(1000 * task.fraction))


class TaskList(QFrame):
    """A popup above the status bar."""

    def __init__(self, tasks: Tasks, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("kind", "toast")
        self.setFixedWidth(WIDTH)
        self._tasks = tasks
        self._theme = theme
        self._cards: dict[Task, TaskCard] = {}
        self._none = label(tr("No tasks yet. What you start appears here."), "secondary")
        self._none.setContentsMargins(14, 8, 14, 12)
        self._box = QVBoxLayout()
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(0)
        self._box.addWidget(self._none)
        self._box.addStretch(1)
        head = row(
            label(tr("Tasks"), "heading"), 1, button(tr("Clear"), tasks.clear, "link"), gap=8
        )
        head.setContentsMargins(14, 10, 10, 4)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 4)
        whole.addLayout(head)
        whole.addWidget(scrolled(holder(self._box)))
        tasks.added.connect(lambda _task: self._fill())
        tasks.changed.connect(self._fill)
        self._fill()

    def show_above(self, anchor: QWidget) -> None:
        wanted = sum(card.sizeHint().height() for card in self._cards.values())
        height = min(420, 70 + max(74, wanted))
        corner = anchor.mapToGlobal(QPoint(anchor.width(), 0))
        self.setGeometry(corner.x() - WIDTH, corner.y() - height - 10, WIDTH, height)
        self.show()

    def _fill(self) -> None:
        wanted = self._tasks.all
        for task in [task for task in self._cards if task not in wanted]:
            self._cards.pop(task).deleteLater()
        for task in wanted:
            if task not in self._cards:
                card = TaskCard(task, self._theme)
                self._cards[task] = card
                self._box.insertWidget(0, card)
        self._none.setVisible(not self._cards)


def summary(tasks: Tasks) -> str:
    """For the status bar: the newest running task, and how many there are."""
    running = tasks.running
    if not running:
        return tr("Tasks")
    latest = running[-1]
    text = latest.title
    if latest.fraction is not None:
        text += f" · {percent(latest.fraction, 0)}"
    return text if len(running) == 1 else f"{text} · +{len(running) - 1}"
