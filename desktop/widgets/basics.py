"""Labels, buttons and boxes with the design's measures."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from desktop.i18n.text import plain, tip
from desktop.theme import icons
from desktop.theme.theme import Theme


def label(text: str = "", kind: str = "", *, wrap: bool = False, select: bool = False) -> QLabel:
    """`kind`: title, heading, secondary, error, mono, chip or "". Every label of the window: Qt
    would take markup in a foreign name for its own."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if kind:
        made.setProperty("kind", kind)
    made.setWordWrap(wrap)
    if select:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    return made


def button(
    text: str,
    clicked: Callable[[], object] | None = None,
    kind: str = "",
    *,
    name: str = "",
    tip: str = "",
) -> QPushButton:
    """`kind`: primary, danger, link, flat, nav, tab or "". `name`: its accessible name, if not the
    text; `tip`: its tooltip."""
    return _furnish(_Button(), text, clicked, kind, name, tip)


def _furnish(
    made: QPushButton,
    text: str,
    clicked: Callable[[], object] | None,
    kind: str,
    name: str,
    hint: str,
) -> QPushButton:
    made.setText(text)
    if kind:
        made.setProperty("kind", kind)
    made.setAccessibleName(name or text)
    made.setToolTip(tip(hint))
    made.setAutoDefault(False)
    if kind == "link":
        made.setCursor(Qt.CursorShape.PointingHandCursor)
    if kind == "tab":  # the one in front is bold, and must not be cut off or push the others
        bold = made.font()
        bold.setWeight(QFont.Weight.DemiBold)
        made.setMinimumWidth(QFontMetrics(bold).horizontalAdvance(text) + 8)
    if clicked is not None:
        made.clicked.connect(lambda _checked=False: clicked())
    return made


def icon_button(
    theme: Theme,
    icon: str,
    name: str,
    clicked: Callable[[], object] | None = None,
    *,
    text: str = "",
    kind: str = "flat",
    color: str = "",
) -> QPushButton:
    """The icon follows the colour scheme; `name` is its tooltip and accessible name."""
    made = _IconButton(theme, icon, color or ("on_accent" if kind == "primary" else "secondary"))
    return _furnish(made, text, clicked, kind, name, "" if text else name)


class _Button(QPushButton):
    """Its text is shown as it is: in a name, Qt would take "&" for a key."""

    def setText(self, text: str) -> None:  # noqa: N802
        super().setText(plain(text))

    def text(self) -> str:
        return super().text().replace("&&", "&")


class _IconButton(_Button):
    """Follows the scheme by a method of its own, which is forgotten together with it."""

    def __init__(self, theme: Theme, icon: str, tint: str) -> None:
        super().__init__()
        self._theme, self._name, self._tint = theme, icon, tint
        self._apply_theme()
        theme.changed.connect(self._apply_theme)

    def setText(self, text: str) -> None:  # noqa: N802
        """A little apart from the icon, which Qt would let it touch."""
        super().setText(f" {text}" if text else "")

    def text(self) -> str:
        return super().text().lstrip()

    def _apply_theme(self) -> None:
        tint, accent = self._theme.color(self._tint), self._theme.color("accent")
        self.setIcon(icons.icon(self._name, tint, accent))


def row(*items: QWidget | QLayout | int | None, gap: int = 8) -> QHBoxLayout:
    """Left to right; a number is a stretch of that weight, None is skipped."""
    return _fill(QHBoxLayout(), items, gap)


def column(*items: QWidget | QLayout | int | None, gap: int = 8) -> QVBoxLayout:
    """Top to bottom."""
    return _fill(QVBoxLayout(), items, gap)


def _fill[Box: QHBoxLayout | QVBoxLayout](
    box: Box, items: tuple[QWidget | QLayout | int | None, ...], gap: int
) -> Box:
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(gap)
    for item in items:
        if isinstance(item, int):
            box.addStretch(item)
        elif isinstance(item, QLayout):
            box.addLayout(item)
        elif item is not None:
            box.addWidget(item)
    return box


def card(content: QLayout, margin: int = 16) -> QFrame:
    """A white box with a thin border."""
    made = QFrame()
    made.setProperty("kind", "card")
    content.setContentsMargins(margin, margin, margin, margin)
    made.setLayout(content)
    return made


def line() -> QFrame:
    made = QFrame()
    made.setProperty("kind", "line")
    return made


def holder(layout: QLayout) -> QWidget:
    """A plain widget around a layout."""
    made = QWidget()
    made.setLayout(layout)
    return made


def scrolled(content: QWidget) -> QScrollArea:
    """Scrolls up and down when it has to."""
    made = QScrollArea()
    made.setWidget(content)
    made.setWidgetResizable(True)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    made.setFrameShape(QFrame.Shape.NoFrame)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its controls take the focus, and scroll it
    return made


def set_kind(widget: QWidget, kind: str) -> None:
    """Change `kind` of a widget that is shown already."""
    widget.setProperty("kind", kind)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def set_wrong(widget: QWidget, wrong: bool) -> None:
    """Mark a field, or take the mark away."""
    widget.setProperty("wrong", wrong)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
