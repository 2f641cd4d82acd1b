"""The icons: `assets/icons/NAME.svg`, tinted with a colour of the theme.

Sixteen units wide, one line weight, black in the file. An icon font would cost 0.2 s at start and
40 MB of memory.
"""

from functools import cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

FOLDER = Path(__file__).parents[2] / "assets" / "icons"
APP_ICON = Path(__file__).parents[2] / "assets" / "icon.svg"


@cache
def _renderer(name: str, color: str) -> QSvgRenderer:
    text = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(text.replace("#000", color).encode()))


def paint(painter: QPainter, name: str, color: QColor, where: QRectF) -> None:
    """Draw it into `where`, which should be a square."""
    ratio = painter.device().devicePixelRatio()
    painter.drawPixmap(where.topLeft(), _pixmap(name, color.name(), round(where.width()), ratio))


@cache
def _pixmap(name: str, color: str, side: int, ratio: float) -> QPixmap:
    pixmap = QPixmap(QSize(round(side * ratio), round(side * ratio)))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    _renderer(name, color).render(painter)
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def pixmap(name: str, color: QColor, side: int = 16) -> QPixmap:
    app = QApplication.instance()
    ratio = app.devicePixelRatio() if isinstance(app, QApplication) else 1.0
    return _pixmap(name, color.name(), side, ratio)


def icon(name: str, color: QColor, checked: QColor | None = None) -> QIcon:
    """For a button; `checked` is its colour while it is pressed in."""
    made = QIcon(pixmap(name, color))
    if checked is not None:
        made.addPixmap(pixmap(name, checked), QIcon.Mode.Normal, QIcon.State.On)
    return made


@cache
def app_icon() -> QIcon:
    return QIcon(str(APP_ICON))
