"""The banner above a page: why the engine is not available, and a button for it."""

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QWidget

from desktop.i18n.text import tr
from desktop.session.engine_state import EngineState
from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.widgets.basics import button, column, label, row


class Banner(QWidget):
    """Hidden while the engine answers."""

    def __init__(self, theme: Theme, act: Callable[[str], object]) -> None:
        super().__init__()
        self._theme = theme
        self._action = ""
        self._picture = label()
        self.text = label("", "heading", wrap=True)
        self.hint = label("", "secondary", wrap=True)
        self.button = button("", lambda: act(self._action), "primary")
        words = column(self.text, self.hint, gap=2)
        box = row(self._picture, words, self.button, gap=12)
        box.setStretch(1, 1)
        box.setContentsMargins(14, 10, 14, 10)
        strip = QFrame()
        strip.setProperty("kind", "banner")
        strip.setLayout(box)
        around = column(strip)
        around.setContentsMargins(24, 12, 24, 0)
        self.setLayout(around)

    def show_state(self, state: EngineState) -> None:
        self.setVisible(not state.answers)
        self._action = state.action
        icon = "error" if state.dot == "error" else "info"
        color = state.dot if state.dot != "exited" else "secondary"
        self._picture.setPixmap(icons.pixmap(icon, self._theme.color(color), 18))
        self.text.setText(state.text)
        self.hint.setText(state.hint)
        self.hint.setVisible(bool(state.hint))
        words = {
            "start": tr("Start the engine"),
            "retry": tr("Try again"),
            "replace": tr("Restart the background process"),
        }
        self.button.setText(words.get(state.action, ""))
        self.button.setAccessibleName(words.get(state.action, ""))
        self.button.setVisible(state.action in words)
