"""The processes of a container as a tree.

Next: `tab.py`.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from desktop.i18n.text import percent, plural, size, tip, tr
from desktop.pages.containers.inside.facts import Branch, tree
from desktop.theme.theme import Theme, monospace
from engine.docker.types import ContainerProcess

STEP = 22
INDENT = 18
MOST = 100  # rows; what is below is counted


class ProcessTree(QWidget):
    """`note` is shown if there are no processes."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.branches: list[Branch] = []
        self.note = ""
        self._theme = theme
        self._left_out = 0
        self.setAccessibleName(tr("Processes"))
        theme.changed.connect(self.update)

    def show_processes(self, processes: Sequence[ContainerProcess], note: str = "") -> None:
        found = tree(processes)
        self.branches, self._left_out = found[:MOST], max(0, len(found) - MOST)
        self.note = note
        words = "; ".join(f"{one.process.pid} {one.process.command}" for one in self.branches)
        self.setAccessibleDescription(words or note)
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        rows = len(self.branches) + bool(self._left_out)
        return QSize(420, STEP * max(1, rows))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        for number, branch in enumerate(self.branches):
            self._paint_branch(painter, number, branch)
        rest = self.note
        if self._left_out:
            rest = plural("and %n more", "and %n more", self._left_out)
        if rest:
            painter.setPen(self._theme.color("secondary"))
            where = QRectF(0, STEP * len(self.branches), self.width(), STEP)
            painter.drawText(where, int(Qt.AlignmentFlag.AlignVCenter), rest)
        painter.end()

    def _paint_branch(self, painter: QPainter, number: int, branch: Branch) -> None:
        top = STEP * number
        self._paint_lead(painter, top, branch.lead)
        left = INDENT * (len(branch.lead) // 2)
        process = branch.process
        small = QFont(self.font())
        small.setPixelSize(12)
        use = _use(process)
        wide = QFontMetrics(small).horizontalAdvance(use)
        mono = monospace()
        metrics = QFontMetrics(mono)
        pid = f"{process.pid}  "
        painter.setFont(mono)
        painter.setPen(self._theme.color("secondary"))
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRectF(left, top, 80, STEP), middle, pid)
        left += metrics.horizontalAdvance(pid)
        room = max(40, self.width() - left - wide - 16)
        shown = metrics.elidedText(process.command, Qt.TextElideMode.ElideRight, room)
        painter.setPen(self._theme.color("text"))
        painter.drawText(QRectF(left, top, room, STEP), middle, shown)
        left += metrics.horizontalAdvance(shown) + 12
        painter.setFont(small)
        painter.setPen(self._theme.color("secondary"))
        painter.drawText(QRectF(left, top, wide + 4, STEP), middle, use)

    def _paint_lead(self, painter: QPainter, top: int, lead: str) -> None:
        """The lines of the tree, for fonts draw their corners apart."""
        painter.setPen(QPen(self._theme.color("exited"), 1))
        for number in range(0, len(lead), 2):
            x = INDENT * (number // 2) + 6
            match lead[number]:
                case "│":
                    painter.drawLine(x, top, x, top + STEP)
                case "├":
                    painter.drawLine(x, top, x, top + STEP)
                    painter.drawLine(x, top + STEP // 2, x + 8, top + STEP // 2)
                case "└":
                    painter.drawLine(x, top, x, top + STEP // 2)
                    painter.drawLine(x, top + STEP // 2, x + 8, top + STEP // 2)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = event.pos().y() // STEP
            if 0 <= number < len(self.branches):
                process = self.branches[number].process
                words = tr("{command} (user {user})", command=process.command, user=process.user)
                QToolTip.showText(event.globalPos(), tip(words), self)
            return True
        return super().event(event)


def _use(process: ContainerProcess) -> str:
    parts = [size(process.memory)] if process.memory else []
    if process.cpu:
        parts.append(percent(process.cpu))
    return " · ".join(parts)
