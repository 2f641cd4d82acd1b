"""The names of what is about to be deleted, one per line; a long list scrolls."""

from collections.abc import Sequence

from PySide6.QtWidgets import QPlainTextEdit

from desktop.theme.theme import monospace

MOST_HEIGHT = 220


class NameList(QPlainTextEdit):
    def __init__(self, accessible_name: str) -> None:
        super().__init__(readOnly=True)
        self.setFont(monospace())
        self.setAccessibleName(accessible_name)
        self.hide()

    def show_names(self, names: Sequence[str]) -> None:
        """As high as they need, up to a limit; nothing where there are none."""
        self.setPlainText("\n".join(names))
        lines = self.fontMetrics().lineSpacing() * len(names)
        self.setFixedHeight(min(lines + 24, MOST_HEIGHT))
        self.setVisible(bool(names))
