"""Ctrl+K: every action and every object by a few letters. May import: PySide6, `pages.page`,
`desk`, `widgets`. Words may be anywhere in a title, in any order; a title that begins with them
comes first.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from desktop import icons
from desktop.pages.page import Command
from desktop.text import tr
from desktop.theme import Theme

SHOWN = 60


class Palette(QDialog):
    def __init__(self, commands: Sequence[Command], theme: Theme, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)  # with a border round it
        self.setProperty("kind", "palette")
        self._commands = tuple(commands)
        self._theme = theme
        self.field = QLineEdit(placeholderText=tr("Do something, or go to something"))
        self.field.setAccessibleName(tr("Command"))
        self.found = QListWidget()
        self.found.setProperty("kind", "commands")
        self.found.setAccessibleName(tr("Commands that match"))
        self.found.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.found.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        box = QVBoxLayout(self)
        box.setContentsMargins(10, 10, 10, 10)
        box.addWidget(self.field)
        box.addWidget(self.found)
        self.field.textChanged.connect(self._fill)
        self.field.installEventFilter(self)
        self.found.itemClicked.connect(lambda _item: self._run())
        self._fill("")
        self.resize(560, 420)
        corner = parent.mapToGlobal(parent.rect().center())
        self.move(corner.x() - 280, parent.mapToGlobal(parent.rect().topLeft()).y() + 80)
        self.field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                count = max(1, self.found.count())
                self.found.setCurrentRow((self.found.currentRow() + step) % count)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run()
                return True
        return super().eventFilter(watched, event)

    def _fill(self, text: str) -> None:
        self.found.clear()
        for command in matches(self._commands, text)[:SHOWN]:
            said = f"{command.title}    {command.hint}" if command.hint else command.title
            item = QListWidgetItem(said)
            if command.icon:
                item.setIcon(icons.icon(command.icon, self._theme.color("secondary")))
            item.setData(Qt.ItemDataRole.UserRole, command)
            self.found.addItem(item)
        self.found.setCurrentRow(0)

    def _run(self) -> None:
        item = self.found.currentItem()
        if item is not None:
            command: Command = item.data(Qt.ItemDataRole.UserRole)
            self.accept()
            command.run()


def matches(commands: Sequence[Command], text: str) -> list[Command]:
    words = text.casefold().split()
    scored = []
    for number, command in enumerate(commands):
        title = command.title.casefold()
        haystack = f"{title} {command.hint.casefold()}"
        if all(word in haystack for word in words):
            early = sum(title.startswith(word) or f" {word}" in title for word in words)
            scored.append((-early, number, command))
    return [command for _, _, command in sorted(scored, key=lambda one: one[:2])]
