"""The current colour scheme: follows the system, and signals changes. Next: `icons.py`, which tints
icons with these colours.
"""

import dataclasses
from collections.abc import Callable
from functools import cache

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from desktop.theme.focus_ring import FocusRing
from desktop.theme.style import style_sheet
from desktop.theme.tokens import DARK, LIGHT, Tokens


class Theme(QObject):
    """The scheme in use. `choice`: "system", "light" or "dark"."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: str = "system") -> None:
        super().__init__(app)
        self._app = app
        self.choice = choice
        self.system_scheme: Callable[[], Qt.ColorScheme] = QGuiApplication.styleHints().colorScheme
        self.tokens = LIGHT
        self._colors: dict[str, QColor] = {}
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(lambda _scheme: self._follow())
        app.setStyle("Fusion")
        app.setFont(_font(app.font()))
        FocusRing(app)
        self._apply(self._wanted())

    def choose(self, choice: str) -> None:
        self.choice = choice
        self._follow()

    def color(self, name: str) -> QColor:
        """The colour of a token. Called for every cell that is drawn, so it is cached."""
        return self._colors[name]

    def _wanted(self) -> Tokens:
        if self.choice in ("light", "dark"):
            return DARK if self.choice == "dark" else LIGHT
        return DARK if self.system_scheme() == Qt.ColorScheme.Dark else LIGHT

    def _follow(self) -> None:
        wanted = self._wanted()
        if wanted is not self.tokens:
            self._apply(wanted)
            self.changed.emit()

    def _apply(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._colors = {
            name: QColor(value)
            for name, value in dataclasses.asdict(tokens).items()
            if value.startswith("#")
        }
        self._app.setPalette(palette(tokens))
        self._app.setStyleSheet(style_sheet(tokens))


@cache
def monospace() -> QFont:
    """For ids, paths and logs; as large as the text beside it looks."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(12)
    return font


def _font(system: QFont) -> QFont:
    """The system's font; 13 pixels unless the user has asked the system for larger."""
    font = QFont(system)
    points = system.pointSizeF()
    font.setPixelSize(max(13, round(points * 96 / 72)) if points > 10 else 13)
    return font


def palette(tokens: Tokens) -> QPalette:
    made = QPalette()
    role = QPalette.ColorRole
    for where, color in (
        (role.Window, tokens.window),
        (role.Base, tokens.surface),
        (role.AlternateBase, tokens.raised),
        (role.Button, tokens.surface),
        (role.ToolTipBase, tokens.surface),
        (role.Text, tokens.text),
        (role.WindowText, tokens.text),
        (role.ButtonText, tokens.text),
        (role.ToolTipText, tokens.text),
        (role.PlaceholderText, tokens.secondary),
        (role.Highlight, tokens.accent),
        (role.HighlightedText, tokens.on_accent),
        (role.Link, tokens.accent),
        (role.Mid, tokens.line),
    ):
        made.setColor(where, QColor(color))
    off = QPalette.ColorGroup.Disabled
    for where in (role.Text, role.WindowText, role.ButtonText):
        made.setColor(off, where, QColor(tokens.exited))
    return made
