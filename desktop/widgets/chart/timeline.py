"""The steps of a start as bars behind each other, each with its time. The engine's page and the
welcome show it.

While a step is under way its bar grows; nothing ticks while the widget is hidden.
"""

import time

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QFontMetrics, QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.i18n import messages
from desktop.i18n.text import seconds as seconds_text
from desktop.i18n.text import tr
from desktop.theme import icons
from desktop.theme.theme import Theme, monospace
from vm.types import BootStep

STEP_HEIGHT = 26
TIME_WIDTH = 64
MARK_WIDTH = 26
NAMES_SHARE = 0.5  # of the width, at most
TICK_MS = 100


class Timeline(QWidget):
    """`show_boot` as often as there is news."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._boot: tuple[BootStep, ...] = ()
        self._failed = False
        self._under_way = ""
        self._since = 0.0
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self.update)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Steps of the start"))
        theme.changed.connect(self.update)

    @property
    def boot(self) -> tuple[BootStep, ...]:
        return self._boot

    def show_boot(self, boot: tuple[BootStep, ...], failed: bool = False) -> None:
        """`failed`: the step without a time is where the start ended."""
        under_way = boot[-1].step if boot and boot[-1].seconds is None and not failed else ""
        if under_way != self._under_way:
            self._under_way, self._since = under_way, time.monotonic()
        if len(boot) != len(self._boot):
            self._boot = boot
            self.updateGeometry()
        self._boot, self._failed = boot, failed
        self.setAccessibleDescription("\n".join(_step_text(step, failed) for step in boot))
        self._tick()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, STEP_HEIGHT * len(self._boot))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(240, STEP_HEIGHT * len(self._boot))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._tick()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._timer.stop()

    def _tick(self) -> None:
        if self._under_way and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        taken = [self._seconds(step) for step in self._boot]
        whole = max(sum(taken), 0.001)
        metrics = QFontMetrics(self.font())
        widest = max(
            (metrics.horizontalAdvance(messages.said(step.text)) for step in self._boot), default=0
        )
        names = min(widest + 12, int(self.width() * NAMES_SHARE))
        bars = self.width() - MARK_WIDTH - names - TIME_WIDTH
        passed = 0.0
        for number, step in enumerate(self._boot):
            line = QRectF(0, number * STEP_HEIGHT, self.width(), STEP_HEIGHT)
            self._mark(painter, line, step)
            if self._is_broken(step):
                self._name(painter, line, step, self.width() - MARK_WIDTH - TIME_WIDTH - 12)
                self._time(painter, line, step, 0.0)
                continue
            self._name(painter, line, step, names - 12)
            left = MARK_WIDTH + names + bars * passed / whole
            width = min(max(bars * taken[number] / whole, 2.0), line.width() - TIME_WIDTH - left)
            self._bar(painter, QRectF(left, line.center().y() - 5, width, 10), step)
            self._time(painter, line, step, taken[number])
            passed += taken[number]

    def _seconds(self, step: BootStep) -> float:
        if step.seconds is not None:
            return step.seconds
        return time.monotonic() - self._since if self._under_way else 0.0

    def _mark(self, painter: QPainter, line: QRectF, step: BootStep) -> None:
        place = QRectF(line.left(), line.center().y() - 7, 14, 14)
        if step.seconds is not None:
            icons.paint(painter, "check", self._theme.color("running"), place)
        elif self._failed:
            icons.paint(painter, "error", self._theme.color("error"), place)
        else:
            icons.paint(painter, "right", self._theme.color("accent"), place)

    def _name(self, painter: QPainter, line: QRectF, step: BootStep, width: int) -> None:
        painter.setFont(self.font())
        painter.setPen(self._theme.color("text"))
        text = QFontMetrics(self.font()).elidedText(
            messages.said(step.text), Qt.TextElideMode.ElideRight, width + 10
        )
        place = QRectF(MARK_WIDTH, line.top(), width + 10, line.height())
        painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), text)

    def _bar(self, painter: QPainter, place: QRectF, step: BootStep) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("accent"))
        painter.setOpacity(0.6 if step.seconds is None else 1.0)
        painter.drawRoundedRect(place, 2, 2)
        painter.setOpacity(1.0)

    def _time(self, painter: QPainter, line: QRectF, step: BootStep, taken: float) -> None:
        painter.setFont(monospace())
        painter.setPen(self._theme.color("error" if self._is_broken(step) else "secondary"))
        text = tr("failed") if self._is_broken(step) else _time_text(taken)
        side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(line, int(side), text)

    def _is_broken(self, step: BootStep) -> bool:
        return self._failed and step.seconds is None


def total(boot: tuple[BootStep, ...]) -> float:
    return sum((step.seconds or 0.0 for step in boot), 0.0)


def _time_text(taken: float) -> str:
    """Hundredths matter where a whole start takes less than a second."""
    return tr("{n} ms", n=round(1000 * taken)) if taken < 1 else seconds_text(taken)


def _step_text(step: BootStep, failed: bool) -> str:
    if step.seconds is not None:
        state = _time_text(step.seconds)
    else:
        state = tr("failed") if failed else tr("in progress")
    return f"{messages.said(step.text)}: {state}"
