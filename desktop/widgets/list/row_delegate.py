"""Paints a row of a list.

Next: `table.py`, which has the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPainterPath, QPen

from desktop.i18n.text import tr
from desktop.models.rows import Cell, ListLine, RowsModel
from desktop.theme import icons
from desktop.theme.theme import Theme, monospace
from desktop.widgets.list.row_style import RowButton, RowStyle, RowStyler

SLOT = 32  # pixels of a button at the end of a row
PADDING = 8
FIRST_PADDING = 14
INDENT = 20
CHART_WIDTH = 60
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True)
class RowGeometry:
    """One row on the screen: the positions of its cells, and its state."""

    rect: QRect
    cells: Sequence[tuple[int, int, int]]  # number of the column, left edge, width
    hovered: bool
    selected: bool
    focused: bool
    folded: bool  # a group whose rows are hidden


def draw_row(
    painter: QPainter,
    place: RowGeometry,
    line: ListLine,
    rows: RowsModel[Any],
    styler: RowStyler,
    theme: Theme,
    plain: QFont,
) -> None:
    """All of a row at once: a call for each cell would cost more than the drawing."""
    style = styler.style(line)
    painter.save()
    _background(painter, place, line, theme)
    if style.dim:
        painter.setOpacity(0.5)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for number, left, width in place.cells:
        column = rows.columns[number]
        rect = QRect(left, place.rect.top(), width, place.rect.height())
        inner = rect.adjusted(FIRST_PADDING if number == 0 else PADDING, 0, -PADDING, 0)
        if column.cell is Cell.ACTIONS:
            _buttons(painter, rect, styler.buttons(line), theme, place.hovered)
        elif line.heading is not None:
            text = rows.text(line, column)
            inner.setRight(_free_until(place, number, line, rows) - PADDING)
            color = style.dot if column.cell is Cell.STATE and style.dot else "secondary"
            _heading_cell(painter, inner, number, line, text, plain, theme, color, place.folded)
        else:
            _cell(painter, inner, line, column.cell, rows.text(line, column), styler, theme, plain)
    painter.restore()


def _cell(
    painter: QPainter,
    inner: QRect,
    line: ListLine,
    cell: Cell,
    text: str,
    styler: RowStyler,
    theme: Theme,
    plain: QFont,
) -> None:
    if cell is Cell.LINKS:
        _links(painter, inner, styler.links(line), text, plain, theme)
    elif cell is Cell.USAGE:
        _usage(painter, inner, text, styler.sparkline(line), theme)
    else:
        style = styler.style(line)
        if cell is Cell.NAME:
            inner = _name_cell(painter, inner, line, style, theme)
        face, color = _face(cell, plain, style)
        _text(painter, inner, text, face, theme.color(color), cell is Cell.NUMBER)


@cache
def _bold(family: str, pixels: int) -> QFont:
    font = QFont(family)
    font.setPixelSize(pixels)
    font.setWeight(QFont.Weight.DemiBold)
    return font


def bold(plain: QFont) -> QFont:
    return _bold(plain.family(), plain.pixelSize())


def _face(cell: Cell, font: QFont, style: RowStyle) -> tuple[QFont, str]:
    """The font and the colour of plain text."""
    face = bold(font) if cell is Cell.NAME else font
    if cell in (Cell.MONO, Cell.NUMBER):
        face = monospace()
    if cell in (Cell.MONO, Cell.SECONDARY) or cell in style.faint:
        return face, "secondary"
    return face, (style.dot or "secondary") if cell is Cell.STATE else "text"


def _background(painter: QPainter, place: RowGeometry, line: ListLine, theme: Theme) -> None:
    rect = place.rect
    if place.selected:
        painter.fillRect(rect, theme.color("selection"))
    elif place.hovered or line.heading is not None:
        painter.fillRect(rect, theme.color("raised" if place.hovered else "window"))
    painter.setPen(theme.color("line"))
    painter.drawLine(rect.bottomLeft(), rect.bottomRight())
    if place.focused:
        painter.setPen(QPen(theme.color("accent"), 1))
        painter.drawLine(rect.topLeft(), rect.topRight())
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())


def _text(
    painter: QPainter, rect: QRect, text: str, font: QFont, color: QColor, right: bool = False
) -> None:
    painter.setFont(font)
    painter.setPen(color)
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, RIGHT if right else LEFT, shown)


def _name_cell(
    painter: QPainter, rect: QRect, line: ListLine, style: RowStyle, theme: Theme
) -> QRect:
    """Draws what stands before a name; returns the place of the name."""
    left = rect.left() + INDENT * line.depth
    if style.dot:
        draw_dot(painter, QPointF(left + 5, rect.center().y() + 0.5), style.dot, theme, style.busy)
        left += 18
    elif style.icon:
        place = QRectF(left, rect.center().y() - 7, 16, 16)
        icons.paint(painter, style.icon, theme.color("secondary"), place)
        left += 24
    return QRect(left, rect.top(), max(0, rect.right() - left), rect.height())


def draw_dot(
    painter: QPainter, center: QPointF, state: str, theme: Theme, busy: bool = False
) -> None:
    """Each state has a shape of its own: colour is never alone."""
    color = theme.color(state)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    if busy:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, 2, Qt.PenStyle.DotLine))
        painter.drawEllipse(center, 4.0, 4.0)
    elif state == "running":
        painter.drawEllipse(center, 4.5, 4.5)
    elif state == "paused":
        painter.drawRoundedRect(QRectF(center.x() - 4.5, center.y() - 4.5, 9, 9), 1.5, 1.5)
    elif state == "error":
        path = QPainterPath(QPointF(center.x(), center.y() - 5))
        path.lineTo(center.x() + 5.5, center.y() + 4.5)
        path.lineTo(center.x() - 5.5, center.y() + 4.5)
        path.closeSubpath()
        painter.drawPath(path)
    else:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, 1.8))
        painter.drawEllipse(center, 3.8, 3.8)


def _free_until(place: RowGeometry, number: int, line: ListLine, rows: RowsModel[Any]) -> int:
    """Where the text of a heading's cell ends: it may use empty cells behind it."""
    right = place.rect.left()
    for other, left, width in place.cells:
        column = rows.columns[other]
        taken = column.cell is Cell.ACTIONS or bool(rows.text(line, column))
        if other > number and taken:
            break
        if other >= number:
            right = left + width
    return right


def _heading_cell(
    painter: QPainter,
    rect: QRect,
    column: int,
    line: ListLine,
    text: str,
    font: QFont,
    theme: Theme,
    color: str,
    folded: bool,
) -> None:
    assert line.heading is not None
    if column > 0:
        _text(painter, rect, text, font, theme.color(color))
        return
    place = QRectF(rect.left() - 2, rect.center().y() - 6, 12, 12)
    icons.paint(painter, "right" if folded else "down", theme.color("text"), place)
    strong = bold(font)
    left = rect.adjusted(18, 0, 0, 0)
    _text(painter, left, line.heading.title, strong, theme.color("text"))
    used = QFontMetrics(strong).horizontalAdvance(line.heading.title) + 6
    rest = left.adjusted(used, 0, 0, 0)
    if rest.width() > 30:
        subtitle = line.heading.subtitle
        if line.heading.is_partial:
            shown, whole = len(line.heading.rows), line.heading.whole
            subtitle = "· " + tr("{n} of {whole} shown", n=shown, whole=whole)
        _text(painter, rest, subtitle, font, theme.color("secondary"))


def _link_places(links: Sequence[str], rect: QRect, font: QFont) -> list[QRect]:
    metrics, left, places = QFontMetrics(font), rect.left(), []
    for link in links:
        width = metrics.horizontalAdvance(link) + 14
        places.append(QRect(left, rect.top(), width, rect.height()))
        left += width + 8
    return places


def link_at(links: Sequence[str], cell: QRect, place: QPoint, font: QFont) -> int | None:
    rect = cell.adjusted(PADDING, 0, -PADDING, 0)
    for number, where in enumerate(_link_places(links, rect, font)):
        if where.contains(place) and where.left() < rect.right():
            return number
    return None


def _links(
    painter: QPainter, rect: QRect, links: Sequence[str], rest: str, font: QFont, theme: Theme
) -> None:
    accent, end = theme.color("accent"), rect.left()
    for link, where in zip(links, _link_places(links, rect, font), strict=True):
        shown = where.intersected(rect)
        if shown.width() < 24:
            break
        _text(painter, shown, link, font, accent)
        if where.right() <= rect.right():
            place = QRectF(where.right() - 11, where.center().y() - 5, 10, 10)
            icons.paint(painter, "open", accent, place)
        end = where.right() + 8
    left = QRect(end, rect.top(), max(0, rect.right() - end), rect.height())
    if rest and left.width() > 16:
        _text(painter, left, rest, font, theme.color("secondary"))


def _usage(
    painter: QPainter, rect: QRect, text: str, values: Sequence[float], theme: Theme
) -> None:
    chart = QRect(rect.left(), rect.top() + 9, CHART_WIDTH, rect.height() - 18)
    number = rect.adjusted(CHART_WIDTH + 8, 0, 0, 0)
    if rect.width() < 2 * CHART_WIDTH:
        number = rect
    elif len(values) > 1:
        draw_sparkline(painter, QRectF(chart), values, theme.color("accent"), floor=0.02)
    _text(painter, number, text, monospace(), theme.color("text"), right=True)


def draw_sparkline(
    painter: QPainter, rect: QRectF, values: Sequence[float], color: QColor, floor: float
) -> None:
    """A line from left to right; `floor`: what the top of the chart stands for at least."""
    top = max(*values, floor)
    step = rect.width() / max(1, len(values) - 1)
    path = QPainterPath()
    for number, value in enumerate(values):
        x = rect.left() + step * number
        y = rect.bottom() - rect.height() * value / top
        path.lineTo(x, y) if number else path.moveTo(x, y)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(color, 1.4))
    painter.drawPath(path)


def button_at(buttons: Sequence[RowButton], cell: QRect, place: QPoint) -> RowButton | None:
    slot = (place.x() - (cell.right() - SLOT * len(buttons) - 8)) // SLOT
    return buttons[slot] if 0 <= slot < len(buttons) else None


def _buttons(
    painter: QPainter, rect: QRect, buttons: Sequence[RowButton], theme: Theme, hovered: bool
) -> None:
    left = rect.right() - SLOT * len(buttons) - 8
    color = theme.color("text" if hovered else "secondary")
    for number, button in enumerate(buttons):
        x = left + SLOT * number + SLOT / 2
        icons.paint(painter, button.icon, color, QRectF(x - 7, rect.center().y() - 6.5, 14, 14))
