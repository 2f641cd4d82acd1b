"""A menu with round corners.

A mask cuts them out: transparency needs a compositor, which not every X display has; without one
they would be black.
"""

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainterPath, QRegion, QResizeEvent
from PySide6.QtWidgets import QMenu, QWidget

from desktop.theme.tokens import RADIUS


class Menu(QMenu):
    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        round_off(self)


def round_off(window: QWidget) -> None:
    """Cut its corners."""
    path = QPainterPath()
    path.addRoundedRect(QRectF(window.rect()), RADIUS, RADIUS)
    window.setMask(QRegion(path.toFillPolygon().toPolygon()))
