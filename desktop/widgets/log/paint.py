"""Lays out and paints rows of a log.

Qt's text layout does it, so that every script is right; layouts are cached while their rows may be
visible. Next: `view.py`, which scrolls.
"""

import re
from typing import NamedTuple

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QTextCharFormat,
    QTextLayout,
    QTextOption,
)

from desktop.theme.theme import Theme
from desktop.widgets.log.ansi_colors import AnsiColors, mixed
from desktop.widgets.log.rows import LogPosition, LogRow, LogRows

MARGIN = 14.0
MARK = QRectF(5, 3, 3, -6)  # beside a line of stderr, inside its height
BETWEEN = 3.0  # pixels between two lines
KEPT = 600  # layouts
ENDLESS = 1_000_000.0  # the width of a line that is not wrapped
MOMENT = "2000-00-00 00:00:00.000"
_WORD = re.compile(r"[\w.:/@%+-]+")


class Shown(NamedTuple):
    """A visible row, and where it begins."""

    row: int
    y: float


class LogPaint:
    """`left`: where text begins. `widest`: the longest line that is known, in pixels."""

    RIGHT = 8

    def __init__(self, rows: LogRows, theme: Theme, font: QFont) -> None:
        self.wraps = True
        self.width = 0
        self.left = MARGIN
        self.widest = 0.0
        self.pattern: re.Pattern[str] | None = None
        self._rows = rows
        self._theme = theme
        self._colors = AnsiColors(theme)
        self._font = font
        self._metrics = QFontMetricsF(font)
        self._line = self._metrics.height() + BETWEEN
        self._moments = False
        self._layouts: dict[int, QTextLayout] = {}
        self._option = QTextOption()
        self._option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)
        self._option.setTabStopDistance(8 * self._metrics.horizontalAdvance("0"))

    def set_moments(self, shown: bool) -> None:
        self._moments = shown
        self.left = MARGIN + (self._metrics.horizontalAdvance(MOMENT) + 16 if shown else 0)

    def forget(self) -> None:
        self._layouts.clear()

    def forget_before(self, first: int) -> None:
        if len(self._layouts) > KEPT:
            keys = sorted(self._layouts)
            for key in keys[: len(keys) - KEPT // 2]:
                del self._layouts[key]
        for key in [key for key in self._layouts if key < first]:
            del self._layouts[key]

    def apply_theme(self) -> None:
        self._colors.forget()
        self.forget()

    def height(self, number: int) -> float:
        """Of a row, in pixels."""
        layout = self._layout(number)
        last = layout.lineAt(layout.lineCount() - 1)
        return last.y() + max(self._line, last.height())

    def place(self, shown: Shown, point: QPoint, scrolled: int) -> LogPosition:
        """The gap between two characters that is nearest to a point."""
        layout = self._layout(shown.row)
        inside = point.y() - shown.y
        line = layout.lineAt(0)
        for number in range(1, layout.lineCount()):
            if layout.lineAt(number).y() <= inside:
                line = layout.lineAt(number)
        return LogPosition(shown.row, line.xToCursor(point.x() - self.left + scrolled))

    def word(self, place: LogPosition) -> tuple[int, int]:
        for found in _WORD.finditer(self._rows[place.row].text):
            if found.start() <= place.column <= found.end():
                return found.span()
        return place.column, place.column

    def draw(
        self,
        painter: QPainter,
        shown: list[Shown],
        rect: QRect,
        scrolled: int,
        selection: tuple[LogPosition, LogPosition] | None,
        hit: int,
    ) -> None:
        painter.fillRect(rect, self._theme.color("surface"))
        painter.setFont(self._font)
        for number, y in shown:
            row = self._rows[number]
            layout = self._layout(number)
            if row.is_error:
                height = self.height(number)
                mark = QRectF(MARK.x(), y + MARK.y(), MARK.width(), height + MARK.height())
                painter.fillRect(mark, self._theme.color("error"))
            if self._moments:
                painter.setPen(self._theme.color("secondary"))
                painter.drawText(QPointF(MARGIN, y + self._metrics.ascent() + 1), row.moment)
            painter.save()
            if scrolled:
                painter.setClipRect(QRectF(self.left, y, rect.width(), self.height(number)))
            painter.setPen(self._theme.color("text"))
            marks = self._marks(number, row, selection, number == hit)
            layout.draw(painter, QPointF(self.left - scrolled, y + 1), marks, QRectF(rect))
            painter.restore()

    def _marks(
        self,
        number: int,
        row: LogRow,
        selection: tuple[LogPosition, LogPosition] | None,
        current: bool,
    ) -> list[QTextLayout.FormatRange]:
        """Search hits and the selection."""
        marks = []
        if self.pattern is not None:
            amber, surface = self._theme.color("paused"), self._theme.color("surface")
            behind = amber if current else mixed(surface, amber, 0.35)
            text = surface if current else self._theme.color("text")
            for found in self.pattern.finditer(row.text):
                marks.append(_marked(found.start(), found.end(), text, behind))
        if selection and selection[0].row <= number <= selection[1].row:
            start = selection[0].column if number == selection[0].row else 0
            end = selection[1].column if number == selection[1].row else len(row.text)
            colors = self._theme.color("on_accent"), self._theme.color("accent")
            marks.append(_marked(start, end, *colors))
        return marks

    def _layout(self, number: int) -> QTextLayout:
        layout = self._layouts.get(number)
        if layout is None:
            layout = self._layouts[number] = self._lay_out(self._rows[number])
        return layout

    def _lay_out(self, row: LogRow) -> QTextLayout:
        layout = QTextLayout(row.text, self._font)
        wrap = QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere
        self._option.setWrapMode(wrap if self.wraps else QTextOption.WrapMode.NoWrap)
        side = Qt.AlignmentFlag.AlignLeft
        self._option.setAlignment(side if self.wraps else side | Qt.AlignmentFlag.AlignAbsolute)
        layout.setTextOption(self._option)
        if row.spans:
            formats = []
            for start, length, style in row.spans:
                made = QTextLayout.FormatRange()
                made.start, made.length = start, length
                made.format = self._colors.format(style)
                formats.append(made)
            layout.setFormats(formats)
        room = max(80.0, self.width - self.left - self.RIGHT) if self.wraps else ENDLESS
        y = 0.0
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(room)
            line.setPosition(QPointF(0, y))
            y += max(self._line, line.height())
            if not self.wraps:
                self.widest = max(self.widest, line.naturalTextWidth())
        layout.endLayout()
        return layout


def _marked(start: int, end: int, text: QColor, behind: QColor) -> QTextLayout.FormatRange:
    made = QTextLayout.FormatRange()
    made.start, made.length = start, max(0, end - start)
    style = QTextCharFormat()
    style.setForeground(text)
    style.setBackground(behind)
    made.format = style
    return made
