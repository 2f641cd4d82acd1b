"""The base class of all pages: a header with title and actions, and a body. Next: `list_page.py`,
for lists.
"""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QVBoxLayout, QWidget

from desktop.context import AppContext
from desktop.theme.tokens import HEADER_HEIGHT
from desktop.widgets.basics import label


@dataclass(frozen=True)
class Command:
    """A command of the palette. `hint`: where it belongs, or its key. `also`: more search words.
    `fill` adds its actions to a menu."""

    title: str
    run: Callable[[], object]
    hint: str = ""
    icon: str = ""
    also: str = ""
    fill: Callable[[QMenu], object] | None = None


class Page(QWidget):
    """`shown` and `hidden` are called by the window; what costs something runs between them."""

    def __init__(self, app: AppContext, title: str) -> None:
        super().__init__()
        self.app = app
        self.title = title
        self.title_label = label(title, "title")
        self.header = QHBoxLayout()
        self.header.setContentsMargins(24, 0, 24, 0)
        self.header.setSpacing(10)
        self.header.addWidget(self.title_label)
        bar = QWidget()
        bar.setLayout(self.header)
        bar.setFixedHeight(HEADER_HEIGHT)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(24, 0, 24, 16)
        self.body.setSpacing(12)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(bar)
        self.area = QWidget()
        self.area.setLayout(self.body)
        whole.addWidget(self.area)

    def shown(self) -> None:
        """It is on the screen now."""

    def hidden(self) -> None:
        """It is no longer on the screen."""

    def open(self, key: str, tab: str = "") -> None:
        """Show the detail of `key`; "" is the list."""

    def reset(self) -> None:
        """After a switch to another engine: show nothing of the one before."""

    def refresh(self) -> None:
        self.app.stores.refresh()

    def focus_filter(self) -> None:
        """Ctrl+F."""

    def step_out(self) -> bool:
        """Esc: as `Levels`."""
        return False

    def commands(self) -> list[Command]:
        """For the palette: what can be done here."""
        return []


def chip(text: str = "") -> QLabel:
    """As high as its words, however high the header is."""
    made = label(text, "chip")
    made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    return made
