"""Suggestions below a text field while it is typed into.

A QCompleter shows them in a popup window, which takes the keys of its field over: typed fast, a
letter after Tab still lands in the field that Tab has left. This list is a child of the field's
window and never has the focus, so that every key goes where the focus is.
Next: `desktop/dialogs/run/dialog.py`.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget

from desktop.i18n.text import tr

SHOWN = 50
ROWS = 8  # that can be seen at once
GAP = 2
STEPS = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
MOVING = (QEvent.Type.Move, QEvent.Type.Resize)


class Suggestions(QListWidget):
    """Down and Up choose one, Enter takes it, Escape closes the list. It belongs to `field`."""

    def __init__(self, field: QLineEdit, words: Sequence[str]) -> None:
        super().__init__(field)
        self._field = field
        self._words = tuple(words)
        self._typed_into = field.focusProxy() or field  # a combo box hands its keys on by itself
        self.setObjectName("suggestions")
        self.setProperty("kind", "commands")
        self.setAccessibleName(tr("Suggestions"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.hide()
        field.destroyed.connect(self.deleteLater)
        field.textEdited.connect(self._suggest)
        self._typed_into.installEventFilter(self)
        self.itemPressed.connect(lambda _item: self._take())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if self.isHidden():
            return False
        if watched is self._typed_into and isinstance(event, QKeyEvent):
            return event.type() == QEvent.Type.KeyPress and self._press(Qt.Key(event.key()))
        left = watched is self._typed_into and event.type() == QEvent.Type.FocusOut
        if left or event.type() == QEvent.Type.Hide:
            self.hide()
        elif event.type() in MOVING:
            self._place()
        return False

    def _press(self, key: Qt.Key) -> bool:
        """Whether the key is for the list."""
        if key in STEPS:
            places = self.count() + 1  # one of them is the text as it was typed
            self.setCurrentRow((self.currentRow() + 1 + STEPS[key]) % places - 1)
            return True
        if key == Qt.Key.Key_Escape:
            self.hide()
            return True
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentRow() >= 0:
            self._take()
            return True
        return False

    def _suggest(self, text: str) -> None:
        typed = text.strip().casefold()
        found = [word for word in self._words if typed and typed in word.casefold()]
        self.clear()
        self.addItems(found[:SHOWN])
        self.setCurrentRow(-1)
        if found and found != [text.strip()]:
            self._open()
        else:
            self.hide()

    def _open(self) -> None:
        window = self._field.window()
        if self.parentWidget() is not window:
            self.setParent(window)
            self._watch()
        self._place()
        self.show()
        self.raise_()

    def _place(self) -> None:
        """Below the field, or above it where there is more room."""
        window = self._field.window()
        rows = min(ROWS, self.count())
        height = rows * self.sizeHintForRow(0) + 2 * self.frameWidth()
        top = self._typed_into.mapTo(window, QPoint(0, 0))
        below = top.y() + self._typed_into.height() + GAP
        fits = below + height <= window.height()
        y = below if fits else max(0, top.y() - GAP - height)
        self.setGeometry(top.x(), y, self._typed_into.width(), height)

    def _watch(self) -> None:
        """The field may move with what is around it, and the list with it."""
        around = self._field.parentWidget()
        while around is not None:
            around.installEventFilter(self)
            around = None if around.isWindow() else around.parentWidget()

    def _take(self) -> None:
        item = self.currentItem()
        if item is not None:
            self._field.setText(item.text())
        self.hide()
