"""The layers of an image as bars, the newest on top.

A click on a step with a layer shows its files; a step that only changed the configuration is a
line. Painted, so that an image of a hundred steps opens at once.
"""

import re
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QVBoxLayout, QWidget

from desktop.i18n.text import size, tip, tr
from desktop.theme.theme import Theme, monospace
from desktop.theme.tokens import RADIUS
from desktop.widgets.transfer import draw_bar
from engine.docker.types import Layer

HIGH, LOW = 44, 26  # pixels of a layer, and of a step that made none
SIZE_WIDTH = 84
# The classic builder names copied files by a hash; their destination follows it.
BY_HASH = re.compile(r"\b((?:file|dir|multi):[0-9a-f]{8})[0-9a-f]{56}")


class LayerButton(QAbstractButton):
    """One step. `share`: of the largest layer."""

    def __init__(self, layer: Layer, share: float, theme: Theme) -> None:
        super().__init__()
        self.layer = layer
        self._share = share
        self._theme = theme
        self._made = bool(layer.diff_id)
        words = layer.instruction or tr("Layer without an instruction")
        self.setText(BY_HASH.sub(r"\1…", " ".join(words.split())))
        self.setShortcut("")  # which an "&" in it has made
        self.setToolTip(tip(words))
        name = tr("{instruction}, {size}", instruction=self.text(), size=size(layer.size))
        self.setAccessibleName(name if self._made else self.text())
        self.setCheckable(self._made)
        self.setEnabled(self._made)
        self.setFixedHeight(HIGH if self._made else LOW)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if self._made:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(240, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = self.rect().adjusted(1, 1, -1, -1)
        self._background(painter, whole)
        color = self._theme.color("text" if self._made else "secondary")
        line = QRect(8, 4 if self._made else 0, self.width() - 16, 20 if self._made else LOW)
        right = SIZE_WIDTH if self._made else 0
        painter.setFont(monospace())
        painter.setPen(color)
        place = line.adjusted(0, 0, -right, 0)
        shown = QFontMetrics(painter.font()).elidedText(
            self.text(), Qt.TextElideMode.ElideRight, place.width()
        )
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(place, int(Qt.AlignmentFlag.AlignLeft | middle), shown)
        if self._made:
            painter.setPen(self._theme.color("secondary"))
            text = size(self.layer.size)
            painter.drawText(line, int(Qt.AlignmentFlag.AlignRight | middle), text)
            bar = QRectF(8, 28, self.width() - 16, 8)
            draw_bar(painter, bar, self._share, self._theme)

    def _background(self, painter: QPainter, whole: QRect) -> None:
        if self.isChecked():
            painter.setBrush(self._theme.color("selection"))
        elif self.underMouse() and self._made:
            painter.setBrush(self._theme.color("raised"))
        else:
            painter.setBrush(Qt.BrushStyle.NoBrush)
        focused = self.hasFocus()
        painter.setPen(QPen(self._theme.color("accent"), 1) if focused else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(whole, RADIUS, RADIUS)


class LayerList(QWidget):
    """`chosen`: a layer whose files should be shown."""

    chosen = Signal(object)  # Layer

    def __init__(self, layers: Sequence[Layer], theme: Theme) -> None:
        super().__init__()
        self.buttons: list[LayerButton] = []
        self._group = QButtonGroup(self)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        largest = max((layer.size for layer in layers), default=0) or 1
        for layer in layers:
            made = LayerButton(layer, layer.size / largest, theme)
            made.clicked.connect(partial(self._choose, layer))
            self._group.addButton(made)
            self.buttons.append(made)
            box.addWidget(made)

    def chosen_button(self) -> QAbstractButton | None:
        return self._group.checkedButton()

    def clear_choice(self) -> None:
        self._group.setExclusive(False)
        for made in self.buttons:
            made.setChecked(False)
        self._group.setExclusive(True)

    def _choose(self, layer: Layer, _checked: bool = False) -> None:
        self.chosen.emit(layer)
