"""The status bar: engine, totals, tasks."""

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from desktop.i18n.text import tip, tr
from desktop.session.engine_state import EngineState
from desktop.theme.theme import Theme
from desktop.widgets.basics import button, label, row
from desktop.widgets.list.row_delegate import draw_dot

HEIGHT = 30


class Dot(QWidget):
    """The coloured mark of a state, beside its label."""

    def __init__(self, theme: Theme, state: str = "exited") -> None:
        super().__init__()
        self.setFixedSize(14, 14)
        self._theme = theme
        self._state = state
        theme.changed.connect(self.update)

    def set_state(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_dot(painter, QPointF(7, 7), self._state, self._theme)


class StatusBar(QWidget):
    tasks_wanted = Signal()
    palette_wanted = Signal()
    engine_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("statusbar")
        self.setFixedHeight(HEIGHT)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._dot = Dot(theme)
        self.engine = button("", self.engine_wanted.emit, "flat", tip=tr("Go to the engine"))
        self.totals = label("", "secondary")
        self.tasks = button(tr("Tasks"), self.tasks_wanted.emit, "flat")
        self.commands = button(
            tr("Ctrl+K"), self.palette_wanted.emit, "flat", name=tr("Command palette")
        )
        box = row(self._dot, self.engine, self.totals, 1, self.tasks, self.commands, gap=8)
        box.setContentsMargins(16, 0, 12, 0)
        self.setLayout(box)

    def show_state(self, state: EngineState) -> None:
        self._dot.set_state(state.dot)
        self.engine.setText(state.text)
        self.engine.setAccessibleName(state.text)
        self.engine.setToolTip(tip((state.hint if state.answers else "") or tr("Go to the engine")))

    def show_totals(self, parts: list[str]) -> None:
        self.totals.setText("   ·   ".join(parts))
