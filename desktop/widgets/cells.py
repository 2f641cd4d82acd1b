"""How a cell of a list is drawn. May import: PySide6, `theme`, `icons`, `models`.

Next: `table.py`, which says what is in it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from desktop import icons
from desktop.models.rows import Cell, Line, RowsModel
from desktop.theme import Theme, monospace
from desktop.widgets.dressing import Dressing, Look

SLOT = 32  # pixels of a button at the end of a row
PADDING = 8
FIRST_PADDING = 14
INDENT = 20
CHART_WIDTH = 60
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class Drawn(Protocol):
    """What is asked of the table that is drawn."""

    rows: RowsModel[Any]
    hovered: int

    def hasFocus(self) -> bool: ...  # noqa: N802 - Qt's name


def draw_cell(
    painter: QPainter,
    option: QStyleOptionViewItem,
    index: Any,
    line: Line,
    dressing: Dressing,
    theme: Theme,
    table: Drawn,
) -> None:
    rect: QRect = option.rect
    painter.save()
    look = dressing.look(line)
    _background(painter, option, index.row(), line, theme, table)
    if look.dim:
        painter.setOpacity(0.5)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    column = table.rows.columns[index.column()]
    text = table.rows.text(line, column)
    inner = rect.adjusted(FIRST_PADDING if index.column() == 0 else PADDING, 0, -PADDING, 0)
    font = QFont(option.font)
    if line.heading is not None:
        _heading_cell(painter, inner, index.column(), line, text, font, theme, table)
    elif column.cell is Cell.LINKS:
        _links(painter, inner, dressing.links(line), text, font, theme)
    elif column.cell is Cell.USAGE:
        _usage(painter, inner, text, dressing.course(line), theme)
    elif column.cell is not Cell.ACTIONS:
        if column.cell is Cell.NAME:
            inner = _name_cell(painter, inner, line, look, theme)
        face, color = _face(column.cell, font, look)
        _text(painter, inner, text, face, theme.color(color), column.cell is Cell.NUMBER)
    if column.cell is Cell.ACTIONS:
        _buttons(painter, rect, dressing, line, theme, table, index.row())
    painter.restore()


def _face(cell: Cell, font: QFont, look: Look) -> tuple[QFont, str]:
    """The font and the colour of plain text."""
    if cell is Cell.NAME:
        font.setWeight(QFont.Weight.DemiBold)
    color = {
        Cell.STATE: look.dot or "secondary",
        Cell.MONO: "secondary",
        Cell.SECONDARY: "secondary",
    }
    face = monospace() if cell in (Cell.MONO, Cell.NUMBER) else font
    return face, "secondary" if cell in look.faint else color.get(cell, "text")


def _background(
    painter: QPainter,
    option: QStyleOptionViewItem,
    row: int,
    line: Line,
    theme: Theme,
    table: Drawn,
) -> None:
    rect: QRect = option.rect
    if option.state & QStyle.StateFlag.State_Selected:
        painter.fillRect(rect, theme.color("selection"))
    elif row == table.hovered or line.heading is not None:
        painter.fillRect(rect, theme.color("raised" if row == table.hovered else "window"))
    painter.setPen(theme.color("line"))
    painter.drawLine(rect.bottomLeft(), rect.bottomRight())
    if option.state & QStyle.StateFlag.State_HasFocus and table.hasFocus():
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


def _name_cell(painter: QPainter, rect: QRect, line: Line, look: Look, theme: Theme) -> QRect:
    """Draws what stands before a name; returns the place of the name."""
    left = rect.left() + INDENT * line.depth
    if look.dot:
        draw_dot(painter, QPointF(left + 5, rect.center().y() + 0.5), look.dot, theme, look.busy)
        left += 18
    elif look.icon:
        place = QRectF(left, rect.center().y() - 7, 16, 16)
        icons.paint(painter, look.icon, theme.color("secondary"), place)
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


def _heading_cell(
    painter: QPainter,
    rect: QRect,
    column: int,
    line: Line,
    text: str,
    font: QFont,
    theme: Theme,
    table: Drawn,
) -> None:
    assert line.heading is not None
    if column > 0:
        _text(painter, rect, text, font, theme.color("secondary"))
        return
    folded = line.key in table.rows.view.folded
    place = QRectF(rect.left() - 2, rect.center().y() - 6, 12, 12)
    icons.paint(painter, "right" if folded else "down", theme.color("text"), place)
    bold = QFont(font)
    bold.setWeight(QFont.Weight.DemiBold)
    left = rect.adjusted(18, 0, 0, 0)
    _text(painter, left, line.heading.title, bold, theme.color("text"))
    used = QFontMetrics(bold).horizontalAdvance(line.heading.title) + 6
    rest = left.adjusted(used, 0, 0, 0)
    if rest.width() > 30:
        _text(painter, rest, line.heading.subtitle, font, theme.color("secondary"))


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
    painter: QPainter, rect: QRect, text: str, course: Sequence[float], theme: Theme
) -> None:
    chart = QRect(rect.right() - CHART_WIDTH, rect.top() + 9, CHART_WIDTH, rect.height() - 18)
    number = QRect(rect.left(), rect.top(), rect.width() - CHART_WIDTH - 8, rect.height())
    if number.width() < 40:
        number = rect
    elif len(course) > 1:
        draw_course(painter, QRectF(chart), course, theme.color("accent"), floor=0.02)
    _text(painter, number, text, monospace(), theme.color("text"), right=True)


def draw_course(
    painter: QPainter, rect: QRectF, course: Sequence[float], color: QColor, floor: float
) -> None:
    """A line from left to right; `floor`: what the top of the chart stands for at least."""
    top = max(*course, floor)
    step = rect.width() / max(1, len(course) - 1)
    path = QPainterPath()
    for number, value in enumerate(course):
        x = rect.left() + step * number
        y = rect.bottom() - rect.height() * value / top
        path.lineTo(x, y) if number else path.moveTo(x, y)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(color, 1.4))
    painter.drawPath(path)


def _buttons(
    painter: QPainter,
    rect: QRect,
    dressing: Dressing,
    line: Line,
    theme: Theme,
    table: Drawn,
    row: int,
) -> None:
    buttons = dressing.buttons(line)
    left = rect.right() - SLOT * len(buttons) - 8
    color = theme.color("text" if row == table.hovered else "secondary")
    for number, button in enumerate(buttons):
        x = left + SLOT * number + SLOT / 2
        place = QRectF(x - 7, rect.center().y() - 6.5, 14, 14)
        icons.paint(painter, button.icon, color, place)
