"""A line chart of the last minutes.

Nothing is animated: it is painted when a sample arrives or the mouse moves. A gap in time is a gap
in the line. Next: `scale.py`, which chooses readable steps.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QWidget

from desktop.i18n.text import tr
from desktop.theme.theme import Theme
from desktop.widgets.chart.scale import Scale, decimal_scale

SPANS = (30.0, 60.0, 120.0, 300.0)  # seconds on the time axis, which grows with the readings
GAP = 40.0  # seconds without a sample that break the line: the list reads every 30 s
NEAR = 1 / 20  # of the time axis, from a sample to the mouse
KEPT = 400
TOP, BOTTOM, LEFT, RIGHT = 34, 22, 78, 14  # LEFT: for 100.0 MB/s
NARROW = 400  # where the names of several lines need a row below the title


@dataclass(frozen=True)
class Series:
    """`color`: a token of the theme."""

    name: str
    color: str


class Chart(QWidget):
    """`say`: a value as text. `limit`: its maximum, 0 for none."""

    def __init__(
        self,
        theme: Theme,
        title: str,
        series: Sequence[Series],
        say: Callable[[float], str],
        scale: Callable[[float], Scale] = decimal_scale,
    ) -> None:
        super().__init__()
        self.title = title
        self.series = tuple(series)
        self.limit = 0.0
        self.span = SPANS[0]
        self.times: deque[float] = deque(maxlen=KEPT)
        self.values: deque[tuple[float, ...]] = deque(maxlen=KEPT)
        self._theme = theme
        self._say = say
        self._scale = scale
        self._hover = -1.0  # x, of the mouse
        self.setMouseTracking(True)
        self.setAccessibleName(title)
        self.setMinimumHeight(150)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(360, 180)

    def add(self, time: float, *values: float) -> None:
        """A sample; older ones come first."""
        self.times.append(time)
        self.values.append(values)
        self.span = next((one for one in SPANS if one >= time - self.times[0]), SPANS[-1])
        self.setAccessibleDescription(self.latest_words())
        self.update()

    def latest_words(self) -> str:
        """The latest value, for screen readers."""
        return self._words(self.values[-1]) if self.values else tr("No readings yet")

    def sample_at(self, x: float) -> int | None:
        """The number of the sample nearest to a place, None where there is none."""
        plot = self._plot()
        if not self.times or not plot.left() <= x <= plot.right():
            return None
        wanted = self.times[-1] - self.span * (plot.right() - x) / plot.width()
        after = min(bisect_left(self.times, wanted), len(self.times) - 1)
        near = min((after, max(0, after - 1)), key=lambda n: abs(self.times[n] - wanted))
        return near if abs(self.times[near] - wanted) < NEAR * self.span else None

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scale = self._scale(self._highest())
        self._paint_axes(painter, scale)
        plot = self._plot()
        painter.save()
        painter.setClipRect(plot.adjusted(0, -2, 0, 2))
        for number, one in enumerate(self.series):
            self._paint_line(painter, number, self._theme.color(one.color), scale.top)
        painter.restore()
        hovered = self.sample_at(self._hover)
        self._paint_title(painter, hovered)
        if hovered is not None:
            self._paint_hover(painter, hovered, scale.top)
        painter.end()

    def _plot(self) -> QRectF:
        return QRectF(self.rect()).adjusted(LEFT, TOP + self._lower(), -RIGHT, -BOTTOM)

    def _lower(self) -> int:
        """How far the readings stand below the title's line."""
        return 20 if len(self.series) > 1 and self.width() < NARROW else 0

    def _highest(self) -> float:
        """The top of the value axis; the limit too, where it is near."""
        highest = max((max(values) for values in self._shown()), default=0.0)
        return max(highest, self.limit) if highest > 0.3 * self.limit else highest

    def _shown(self) -> Sequence[tuple[float, ...]]:
        if not self.times:
            return ()
        first = bisect_left(self.times, self.times[-1] - self.span)
        return list(self.values)[first:]

    def _place(self, number: int, value: float, top: float) -> QPointF:
        plot = self._plot()
        passed = self.times[-1] - self.times[number]
        return QPointF(
            plot.right() - plot.width() * passed / self.span,
            plot.bottom() - plot.height() * min(value / top, 1.0),
        )

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(11)
        return font

    def _paint_axes(self, painter: QPainter, scale: Scale) -> None:
        plot, theme = self._plot(), self._theme
        painter.setFont(self._small())
        for step in scale.steps:
            y = round(plot.bottom() - plot.height() * step / scale.top) + 0.5
            painter.setPen(QPen(theme.color("line"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(theme.color("secondary"))
            where = QRectF(0, y - 9, LEFT - 8, 18)
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(where, int(side), self._say(step))
        below = QRectF(plot.left(), plot.bottom() + 4, plot.width(), BOTTOM - 4)
        painter.setPen(theme.color("secondary"))
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        painter.drawText(below, int(left), _ago(round(self.span)))
        painter.drawText(below, int(right), tr("now"))
        if 0 < self.limit <= scale.top:
            y = plot.bottom() - plot.height() * self.limit / scale.top
            painter.setPen(QPen(theme.color("paused"), 1.2, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))

    def _paint_line(self, painter: QPainter, number: int, color: QColor, top: float) -> None:
        stretches = self._stretches(number, top)
        base = self._plot().bottom()
        for points in stretches:
            path = QPainterPath(points[0])
            for point in points[1:]:
                path.lineTo(point)
            if len(points) == 1:
                path.addEllipse(points[0], 0.7, 0.7)
            area = QPainterPath(path)
            area.lineTo(points[-1].x(), base)
            area.lineTo(points[0].x(), base)
            faint = QColor(color)
            faint.setAlpha(28)
            if number == 0:
                painter.fillPath(area, faint)
            painter.strokePath(path, QPen(color, 1.6))

    def _stretches(self, number: int, top: float) -> list[list[QPointF]]:
        found: list[list[QPointF]] = []
        before = float("-inf")
        for index, time in enumerate(self.times):
            if time < self.times[-1] - self.span - GAP:
                continue
            if time - before > GAP:
                found.append([])
            found[-1].append(self._place(index, self.values[index][number], top))
            before = time
        return found

    def _paint_title(self, painter: QPainter, hovered: int | None) -> None:
        theme = self._theme
        bold = QFont(self.font())
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(bold)
        painter.setPen(theme.color("text"))
        painter.drawText(QRectF(14, 8, self.width() - 28, 20), 0, self.title)
        if not self.values:
            return
        values = self.values[-1 if hovered is None else hovered]
        right, top = float(self.width() - RIGHT), 8 + self._lower()
        painter.setFont(self.font())
        metrics = QFontMetricsF(self.font())
        rest = tr("of {limit}", limit=self._say(self.limit)) if self.limit else ""
        if rest:
            right = _text_before(painter, right, top, rest, metrics, theme.color("secondary"))
        for one, value in reversed(list(zip(self.series, values, strict=True))):
            text = self._say(value)
            right = _text_before(painter, right, top, text, metrics, theme.color("text"))
            if len(self.series) > 1:
                faint = theme.color("secondary")
                right = _text_before(painter, right, top, one.name, metrics, faint)
                painter.fillRect(QRectF(right - 8, top + 9, 10, 3), theme.color(one.color))
                right -= 20

    def _paint_hover(self, painter: QPainter, number: int, top: float) -> None:
        plot, theme = self._plot(), self._theme
        x = self._place(number, 0, top).x()
        painter.setPen(QPen(theme.color("exited"), 1))
        painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        for one, value in zip(self.series, self.values[number], strict=True):
            painter.setPen(QPen(theme.color("surface"), 1.5))
            painter.setBrush(theme.color(one.color))
            painter.drawEllipse(self._place(number, value, top), 4, 4)
        words = _ago(round(self.times[-1] - self.times[number]))
        painter.setFont(self._small())
        metrics = QFontMetricsF(painter.font())
        width = metrics.horizontalAdvance(words) + 12
        left = min(max(x - width / 2, plot.left()), plot.right() - width)
        box = QRectF(left, plot.bottom() + 3, width, 17)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("raised"))
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(theme.color("text"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), words)

    def _words(self, values: tuple[float, ...]) -> str:
        parts = [
            f"{one.name} {self._say(value)}" for one, value in zip(self.series, values, strict=True)
        ]
        return ", ".join(parts)

    # The mouse

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._hover = event.position().x()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self._hover = -1.0
        self.update()
        super().leaveEvent(event)


def _ago(passed: int) -> str:
    if passed < 60:
        return tr("{n} s ago", n=passed) if passed else tr("now")
    if passed % 60 == 0:
        return tr("{n} min ago", n=passed // 60)
    return tr("{minutes} min {seconds} s ago", minutes=passed // 60, seconds=passed % 60)


def _text_before(
    painter: QPainter, right: float, top: int, text: str, metrics: QFontMetricsF, color: QColor
) -> float:
    """Draw it so that it ends at `right`; where the text before it may end."""
    width = metrics.horizontalAdvance(text)
    painter.setPen(color)
    painter.drawText(QRectF(right - width - 1, top, width + 2, 20), 0, text)
    return right - width - 6
