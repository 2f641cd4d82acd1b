"""The sidebar: the current engine, and the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QPushButton, QVBoxLayout, QWidget

from desktop.i18n.text import tr
from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.theme.tokens import SIDEBAR_WIDTH
from desktop.widgets.basics import label, row
from desktop.widgets.list.row_delegate import draw_dot


@dataclass(frozen=True)
class NavEntry:
    """A page's entry in the sidebar. `below`: in the lower group."""

    key: str
    title: str
    icon: str
    below: bool = False


class NavButton(QPushButton):
    """A page's entry with a count at its right end."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._count = ""

    def set_count(self, count: int | None) -> None:
        text = "" if count is None else str(count)
        if text != self._count:
            self._count = text
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if self._count:
            painter = QPainter(self)
            font = painter.font()
            font.setPixelSize(11)
            painter.setFont(font)
            painter.setPen(self._theme.color("accent" if self.isChecked() else "secondary"))
            place = QRectF(self.rect()).adjusted(0, 0, -10, 0)
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(place, int(side), self._count)


class Switcher(QPushButton):
    """Names the engine that is shown, with its state, and opens the list of all."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._name = ""
        self._dot = "exited"
        self.setProperty("kind", "switcher")
        self.setAccessibleName(tr("Selected engine"))
        theme.changed.connect(self.update)

    def show_engine(self, name: str, dot: str) -> None:
        self._dot, self._name = dot, name
        self.setAccessibleDescription(name)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.rect().center().y() + 0.5
        draw_dot(painter, QPointF(17, middle), self._dot, self._theme)
        words = QRectF(self.rect()).adjusted(32, 0, -28, 0)
        shown = self.fontMetrics().elidedText(
            self._name, Qt.TextElideMode.ElideRight, round(words.width())
        )
        painter.setPen(self._theme.color("text"))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), shown)
        place = QRectF(self.width() - 24, middle - 6, 12, 12)
        icons.paint(painter, "down", self._theme.color("secondary"), place)


class Sidebar(QWidget):
    chosen = Signal(str)

    def __init__(self, theme: Theme, places: Sequence[NavEntry]) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(SIDEBAR_WIDTH)
        self._theme = theme
        self._buttons: dict[str, NavButton] = {}
        self._group = QButtonGroup(self)
        self.switcher = Switcher(theme)
        box = QVBoxLayout(self)
        box.setContentsMargins(10, 14, 10, 10)
        box.setSpacing(2)
        box.addLayout(self._brand())
        box.addSpacing(8)
        box.addWidget(self.switcher)
        box.addSpacing(8)
        for place in places:
            if not place.below:
                box.addWidget(self._entry(place))
        box.addStretch(1)
        for place in places:
            if place.below:
                box.addWidget(self._entry(place))
        theme.changed.connect(self._apply_theme)

    def choose(self, key: str) -> None:
        """Mark this page; one without an entry, such as the welcome, marks none."""
        self._group.setExclusive(False)
        for name, entry in self._buttons.items():
            entry.setChecked(name == key)
        self._group.setExclusive(True)

    def set_count(self, key: str, count: int | None) -> None:
        self._buttons[key].set_count(count)

    def _brand(self) -> QVBoxLayout:
        mark = label()
        mark.setPixmap(icons.app_icon().pixmap(QSize(24, 24)))
        name = label("Galley")
        name.setObjectName("brand")
        line = row(mark, name, 1, gap=10)
        line.setContentsMargins(10, 0, 0, 0)
        box = QVBoxLayout()
        box.addLayout(line)
        return box

    def _entry(self, place: NavEntry) -> NavButton:
        made = NavButton(self._theme)
        made.setText("  " + place.title)
        made.setProperty("kind", "nav")
        made.setProperty("icon_name", place.icon)
        made.setAccessibleName(place.title)
        made.setCheckable(True)
        made.clicked.connect(lambda _checked=False: self.chosen.emit(place.key))
        self._group.addButton(made)
        self._buttons[place.key] = made
        self._dress_one(made)
        return made

    def _apply_theme(self) -> None:
        for made in self._buttons.values():
            self._dress_one(made)

    def _dress_one(self, made: NavButton) -> None:
        color, checked = self._theme.color("secondary"), self._theme.color("accent")
        made.setIcon(icons.icon(made.property("icon_name"), color, checked))
