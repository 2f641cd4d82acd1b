"""Every key of the window."""

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QGridLayout, QWidget

from desktop.i18n.text import tr
from desktop.widgets.basics import card, column, holder, label, row, scrolled


def keys() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Where they work, and what they do."""
    return (
        (
            tr("Everywhere"),
            (
                ("Ctrl+K", tr("Find any action or object")),
                ("Ctrl+1", tr("Containers; with 2 to 7 the other pages")),
                ("Ctrl+F", tr("Filter, or search")),
                ("F5", tr("Refresh")),
                ("Esc", tr("Clear a filter, close a file, go back to the list")),
                ("Ctrl+W", tr("Close the window; the engine keeps running")),
            ),
        ),
        (
            tr("In a list"),
            (
                ("Return", tr("Open the selection")),
                ("Space", tr("Start or stop")),
                ("Del", tr("Delete, after a question")),
                ("Ctrl+A", tr("Select all")),
                ("Menu", tr("More actions")),
            ),
        ),
        (
            tr("In a log"),
            (
                ("End", tr("Follow new output")),
                ("Ctrl+C", tr("Copy the selection")),
            ),
        ),
    )


class KeysView(QWidget):
    def __init__(self) -> None:
        super().__init__()
        cards = [_card(title, rows) for title, rows in keys()]
        self.setLayout(column(scrolled(holder(column(*cards, 1, gap=12)))))


def _card(title: str, rows: tuple[tuple[str, str], ...]) -> QWidget:
    grid = QGridLayout()
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(8)
    grid.setColumnStretch(1, 1)
    for number, (key, meaning) in enumerate(rows):
        shown = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) or key
        chip = label(shown, "chip")
        grid.addLayout(row(chip, 1), number, 0)
        grid.addWidget(label(meaning), number, 1)
    grid.setColumnMinimumWidth(0, 110)
    return card(column(label(title, "heading"), grid, gap=12))
