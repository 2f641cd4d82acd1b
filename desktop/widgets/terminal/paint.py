"""Paints a terminal's cells."""

from math import ceil

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter

from desktop.theme.theme import Theme, monospace
from desktop.widgets.log.ansi import PLAIN, Style
from desktop.widgets.log.ansi_colors import AnsiColors
from desktop.widgets.terminal.styled_runs import Row


class TerminalPaint:
    """`width` and `height`: of a cell, in pixels."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._colors = AnsiColors(theme)
        self._font = monospace()
        metrics = QFontMetricsF(self._font)
        self.width = metrics.horizontalAdvance("0" * 100) / 100
        self.height = ceil(metrics.height()) + 1
        self._ascent = metrics.ascent()
        self._faces: dict[tuple[bool, bool], QFont] = {}

    def apply_theme(self) -> None:
        """The scheme has changed."""
        self._colors.forget()

    def row(self, painter: QPainter, row: Row, place: int, selected: tuple[int, int]) -> None:
        """A line, `place` lines below the top; `selected`: from which column to which."""
        for run in row:
            text, behind = self._colors.pair(run.style)
            self._text(painter, run.column, run.text, run.style, place, text, behind, run.wide)
        left, right = selected
        if right <= left:
            return
        area = QRectF(
            left * self.width, place * self.height, (right - left) * self.width, self.height
        )
        painter.save()
        painter.setClipRect(area)
        painter.fillRect(area, self._theme.color("accent"))
        color = self._theme.color("on_accent")
        for run in row:
            self._text(painter, run.column, run.text, run.style, place, color, None, run.wide)
        painter.restore()

    def cursor(
        self, painter: QPainter, column: int, place: int, under: str, has_focus: bool
    ) -> None:
        """A block; a frame without the keyboard focus."""
        area = QRectF(column * self.width, place * self.height, self.width, self.height)
        if not has_focus:
            painter.setPen(self._theme.color("accent"))
            painter.drawRect(area.adjusted(0.5, 0.5, -0.5, -0.5))
            return
        painter.fillRect(area, self._theme.color("accent"))
        self._text(painter, column, under, PLAIN, place, self._theme.color("on_accent"), None)

    def _text(
        self,
        painter: QPainter,
        column: int,
        text: str,
        style: Style,
        place: int,
        color: QColor,
        behind: QColor | None,
        wide: bool = False,
    ) -> None:
        x, y = column * self.width, place * self.height
        width = self.width * (2 if wide else len(text))
        if behind is not None:
            painter.fillRect(QRectF(x, y, width, self.height), behind)
        painter.setPen(color)
        base = y + self._ascent
        if not text.isspace():
            painter.setFont(self._face(style))
            painter.drawText(QPointF(x, base + 0.5), text)
        for wanted, line in ((style.underline, base + 2), (style.strike, base - 4)):
            if wanted:
                painter.drawLine(QPointF(x, line), QPointF(x + width, line))

    def _face(self, style: Style) -> QFont:
        key = (style.bold, style.italic)
        if key not in self._faces:
            face = QFont(self._font)
            face.setBold(style.bold)
            face.setItalic(style.italic)
            self._faces[key] = face
        return self._faces[key]
