"""Shown in place of an empty list: an icon, a sentence, the next step."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.widgets.basics import label

WIDTH = 440


class Empty(QWidget):
    def __init__(self, theme: Theme, icon: str, title: str, text: str, *steps: QWidget) -> None:
        super().__init__()
        self._theme = theme
        self._icon = icon
        self.setAccessibleName(title)
        self._picture = label()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        heading = label(title, "heading")
        heading.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._words = words = label(text, "secondary", wrap=True)
        words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        words.setFixedWidth(WIDTH)
        # A layout that centres it asks for the height that it has in the width of the page.
        words.setMinimumHeight(max(0, words.heightForWidth(WIDTH)))  # -1 without a text
        box = QVBoxLayout(self)
        box.setSpacing(10)
        box.addStretch(2)
        center = Qt.AlignmentFlag.AlignHCenter
        box.addWidget(self._picture, 0, center)
        box.addWidget(heading, 0, center)
        box.addWidget(words, 0, center)
        for step in steps:
            box.addWidget(step, 0, center)
        box.addStretch(3)
        self._apply_theme()
        theme.changed.connect(self._apply_theme)

    def set_text(self, text: str) -> None:
        self._words.setText(text)
        self._words.setMinimumHeight(max(0, self._words.heightForWidth(WIDTH)))

    def _apply_theme(self) -> None:
        self._picture.setPixmap(icons.pixmap(self._icon, self._theme.color("exited"), 40))
