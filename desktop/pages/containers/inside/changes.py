"""The files that a container has changed: a summary, and all of them in a dialog. Next:
`tab.py`."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QStringListModel, Qt
from PySide6.QtWidgets import QAbstractItemView, QDialog, QLineEdit, QListView, QVBoxLayout, QWidget

from desktop.i18n.text import plural, tr
from desktop.theme.theme import monospace
from desktop.widgets.basics import button, label, row
from desktop.widgets.elided import Elided
from engine.docker.types import Change

FEW = 6


def shown_first(changes: Sequence[Change]) -> list[Change]:
    """The most informative changes: files rather than the folders above them."""
    above = {change.path.rpartition("/")[0] for change in changes}
    return [change for change in changes if change.path not in above]


class ChangesLine(QWidget):
    def __init__(self, show_all: Callable[[], object]) -> None:
        super().__init__()
        self.text = Elided("", "mono")
        self.all = button(tr("Show all"), show_all, "link", name=tr("Show all changed files"))
        self.all.hide()
        box = row(label(tr("Changed here:"), "secondary"), self.text, self.all)
        box.setStretch(1, 1)
        self.setLayout(box)
        self.setMinimumHeight(24)  # with the button or without it: the card does not jump

    def show_changes(self, changes: Sequence[Change] | None) -> None:
        """None: not known yet."""
        few = shown_first(changes or ())[:FEW]
        words = "   ".join(f"{change.kind} {change.path}" for change in few)
        if changes is None:
            words = tr("reading…")
        self.text.set_text(words or tr("nothing"))
        self.all.setVisible(bool(changes))


class ChangesDialog(QDialog):
    def __init__(self, name: str, changes: Sequence[Change], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Changed files of {name}", name=name))
        self.resize(640, 480)
        kinds = {"A": tr("added"), "C": tr("changed"), "D": tr("deleted")}
        self._lines = [f"{kinds.get(one.kind, one.kind):<10} {one.path}" for one in changes]
        self.model = QStringListModel(self._lines, self)
        self.count = label("", "secondary")
        self.filter = QLineEdit(placeholderText=tr("Filter"), clearButtonEnabled=True)
        self.filter.setAccessibleName(tr("Filter the changed files"))
        self.filter.textChanged.connect(self._filter)
        view = QListView()
        view.setModel(self.model)
        view.setFont(monospace())
        view.setUniformItemSizes(True)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setAccessibleName(tr("Changed files"))
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 16)
        box.setSpacing(12)
        head = label(tr("Changed files of {name}", name=name), "heading")
        note = label(
            tr("Since it was made from its image. Volumes are not part of it."), "secondary"
        )
        box.addWidget(head)
        box.addWidget(note)
        box.addLayout(row(self.filter, self.count))
        box.addWidget(view)
        box.addLayout(row(1, button(tr("Close"), self.close, "primary")))
        self._filter("")
        self.filter.setFocus()

    def _filter(self, text: str) -> None:
        words = text.casefold().strip()
        found = [line for line in self._lines if words in line.casefold()]
        self.model.setStringList(found)
        self.count.setText(plural("%n files", "%n file", len(found)))
