"""A value with a copy button."""

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QFontMetrics, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QWidget

from desktop.i18n.text import tip, tr
from desktop.widgets.basics import button, label, row

NAME_WIDTH = 88
SAID_MS = 1500  # how long the button shows that it has copied


class Shortened(QLabel):
    """One line that is elided in the middle rather than making the window wider."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.setProperty("kind", kind)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.whole = ""

    def say(self, text: str) -> None:
        self.whole = text
        self.setAccessibleName(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(self.whole, Qt.TextElideMode.ElideMiddle, self.width())
        if shown != self.text():
            self.setText(shown)
        self.setToolTip(tip(self.whole if shown != self.whole else ""))


class CopyLine(QWidget):
    """Hidden while it is empty."""

    def __init__(self, name: str, kind: str = "mono") -> None:
        super().__init__()
        self.name = label(name, "secondary")
        self.name.setFixedWidth(NAME_WIDTH)
        self.value = Shortened(kind)
        self.button: QPushButton = button(
            tr("Copy"), self.copy, "link", name=tr("Copy {what}", what=name)
        )
        box = row(self.name, self.value, self.button, gap=8)
        box.setStretch(1, 1)
        self.setLayout(box)
        self.setMinimumHeight(30)
        self._copied = ""
        self.hide()

    def say(self, text: str, copied: str = "") -> None:
        """`copied`: what the button copies, if not all of the text."""
        self._copied = copied or text
        if text != self.value.whole:
            self.value.say(text)
        self.setVisible(bool(text))

    def copy(self) -> None:
        QGuiApplication.clipboard().setText(self._copied)
        self.button.setText(tr("Copied"))
        QTimer.singleShot(SAID_MS, self.button, lambda: self.button.setText(tr("Copy")))
