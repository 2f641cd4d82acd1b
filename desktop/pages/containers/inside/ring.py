"""The seven namespaces of a container: as a ring, and as text. Next: `limits.py`."""

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from desktop.i18n.text import tip, tr
from desktop.pages.containers.inside.facts import KINDS, Space, relation_word
from desktop.theme.theme import Theme
from desktop.widgets.basics import label, line
from desktop.widgets.elided import Elided

THICK, THIN = 18, 7  # pixels; thin is what belongs to the host
GAP = 4.0  # degrees
COLORS = {"own": "accent", "shared": "paused", "host": "exited", "unknown": "track"}


class Ring(QWidget):
    """An arc for each namespace; its colour and weight show its relation."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._spaces: list[Space] = []
        self._title = self._below = ""
        self.setMinimumSize(230, 230)
        self.setAccessibleName(tr("Namespaces"))
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(270, 260)

    def show_spaces(self, spaces: Sequence[Space], title: str, below: str) -> None:
        self._spaces, self._title, self._below = list(spaces), title, below
        self.setAccessibleDescription("; ".join(map(space_words, spaces)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        center = QPointF(self.width() / 2, self.height() / 2)
        radius = min(self.width(), self.height()) / 2 - 30
        kinds = self._spaces or [Space(kind, "unknown", "") for kind in KINDS]
        for number, space in enumerate(kinds):
            self._paint_arc(painter, center, radius, 360 / len(kinds) * number, space)
        self._paint_middle(painter, center, radius)
        painter.end()

    def _paint_arc(
        self, painter: QPainter, center: QPointF, radius: float, start: float, space: Space
    ) -> None:
        """`start` in degrees, clockwise from the top."""
        sweep = 360 / len(KINDS)
        width = THIN if space.relation == "host" else THICK
        pen = QPen(self._theme.color(COLORS[space.relation]), width)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        inner = radius - THICK / 2
        box = QRectF(center.x() - inner, center.y() - inner, 2 * inner, 2 * inner)
        first = 90 - start - GAP / 2
        painter.drawArc(box, round(16 * first), round(-16 * (sweep - GAP)))
        middle = math.radians(start + sweep / 2)
        place = center + QPointF(math.sin(middle), -math.cos(middle)) * (radius + 14)
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(self._theme.color("secondary"))
        half = QFontMetricsF(font).horizontalAdvance(space.kind) / 2
        lean = math.sin(middle) * max(0.0, half - 8)  # so that long words do not touch the ring
        where = QRectF(place.x() + lean - 40, place.y() - 9, 80, 18)
        painter.drawText(where, int(Qt.AlignmentFlag.AlignCenter), space.kind)

    def _paint_middle(self, painter: QPainter, center: QPointF, radius: float) -> None:
        width = 2 * (radius - THICK) - 24
        title, below = QFont(self.font()), QFont(self.font())
        title.setPixelSize(15)
        title.setWeight(QFont.Weight.DemiBold)
        below.setPixelSize(12)
        for font, color, text, y in (
            (title, "text", self._title, -22),
            (below, "secondary", self._below, 0),
        ):
            painter.setFont(font)
            painter.setPen(self._theme.color(color))
            middle = Qt.TextElideMode.ElideMiddle
            shown = QFontMetricsF(font).elidedText(text, middle, width)
            where = QRectF(center.x() - width / 2, center.y() + y, width, 22)
            painter.drawText(where, int(Qt.AlignmentFlag.AlignCenter), shown)


class SpaceTable(QWidget):
    """The kind of each namespace, its relation, and the containers that share it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._spaces: list[Space] = []
        self._words: dict[str, tuple[QLabel, Elided]] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(2, 1)
        for number, kind in enumerate(KINDS):
            relation, value = label("–"), Elided("", "mono")
            relation.setMinimumWidth(52)
            self._words[kind] = relation, value
            grid.addWidget(label(kind, "heading"), 2 * number, 0)
            grid.addWidget(relation, 2 * number, 1)
            grid.addWidget(value, 2 * number, 2)
            if number < len(KINDS) - 1:
                grid.addWidget(line(), 2 * number + 1, 0, 1, 3)
        theme.changed.connect(self._apply_theme)

    def show_spaces(self, spaces: Sequence[Space]) -> None:
        self._spaces = list(spaces)
        for space in spaces:
            relation, value = self._words[space.kind]
            relation.setText(relation_word(space))
            color = self._theme.color(COLORS[space.relation]).name()
            relation.setStyleSheet(f"color: {color};")
            value.set_text(_value(space))
            text = tr("{words}, inode {inode}", words=space_words(space), inode=space.inode)
            value.setToolTip(tip(text if space.inode else space_words(space)))

    def _apply_theme(self) -> None:
        self.show_spaces(self._spaces)

    def value_of(self, kind: str) -> str:
        return self._words[kind][1].whole

    def relation_of(self, kind: str) -> str:
        return self._words[kind][0].text()


def _value(space: Space) -> str:
    if space.others:
        return tr("with {names}", names=", ".join(space.others))
    return space.value


def space_words(space: Space) -> str:
    words = f"{space.kind}: {relation_word(space)}"
    if space.others:
        words += " " + tr("with {names}", names=", ".join(space.others))
    return words
