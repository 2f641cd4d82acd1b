"""The layers of a container as slanted sheets, the writable one on top. Next: `ring.py`."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QToolTip, QWidget

from desktop.i18n.text import tip
from desktop.pages.containers.inside.facts import Sheet
from desktop.theme.theme import Theme, monospace

STEP, HEIGHT, WIDTH, SLANT = 41, 34, 160, 12
STRONGEST, WEAKEST = 0.5, 0.16  # how much of the accent an image's sheets have


class LayerStack(QWidget):
    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self.sheets: list[Sheet] = []
        self._theme = theme
        self.setAccessibleName(name)
        self.setMinimumWidth(300)
        theme.changed.connect(self.update)

    def show_sheets(self, sheets: Sequence[Sheet]) -> None:
        self.sheets = list(sheets)
        words = "; ".join(f"{sheet.mark}: {sheet.title}, {sheet.note}" for sheet in sheets)
        self.setAccessibleDescription(words)
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(420, STEP * max(1, len(self.sheets)))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, sheet in enumerate(self.sheets):
            top = float(STEP * number)
            self._paint_sheet(painter, top, sheet, self._color(number))
            self._paint_words(painter, top, sheet)
        painter.end()

    def _color(self, number: int) -> QColor:
        accent, surface = self._theme.color("accent"), self._theme.color("surface")
        if self.sheets[number].writable:
            return accent
        steps = max(1, len(self.sheets) - 2)
        share = STRONGEST - (STRONGEST - WEAKEST) * (number - 1) / steps
        return _mixed(accent, surface, share)

    def _paint_sheet(self, painter: QPainter, top: float, sheet: Sheet, color: QColor) -> None:
        bottom, right = top + HEIGHT, float(WIDTH)
        corners = [
            QPointF(SLANT, top + 0.5),
            QPointF(right, top + 0.5),
            QPointF(right - SLANT, bottom),
            QPointF(0.5, bottom),
        ]
        edge = QColor(self._theme.color("accent"))
        edge.setAlpha(110)
        painter.setPen(QPen(edge, 1))
        painter.setBrush(color)
        painter.drawPolygon(QPolygonF(corners))
        font = QFont(self.font())
        font.setPixelSize(11)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(self._theme.color("on_accent" if sheet.writable else "text"))
        where = QRectF(0, top, WIDTH, HEIGHT)
        painter.drawText(where, int(Qt.AlignmentFlag.AlignCenter), sheet.mark)

    def _paint_words(self, painter: QPainter, top: float, sheet: Sheet) -> None:
        left = WIDTH + 8
        width = self.width() - left
        title, note = monospace(), QFont(self.font())
        note.setPixelSize(12)
        for font, color, text, y in (
            (title, "text", sheet.title, top),
            (note, "secondary", sheet.note, top + 17),
        ):
            painter.setFont(font)
            painter.setPen(self._theme.color(color))
            shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, width)
            where = QRectF(left, y, width, 17)
            painter.drawText(where, int(Qt.AlignmentFlag.AlignVCenter), shown)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = event.pos().y() // STEP
            if 0 <= number < len(self.sheets):
                sheet = self.sheets[number]
                QToolTip.showText(event.globalPos(), tip(sheet.tip or sheet.title), self)
            return True
        return super().event(event)


def _mixed(above: QColor, below: QColor, share: float) -> QColor:
    def part(one: float, other: float) -> float:
        return share * one + (1 - share) * other

    return QColor.fromRgbF(
        part(above.redF(), below.redF()),
        part(above.greenF(), below.greenF()),
        part(above.blueF(), below.blueF()),
    )
