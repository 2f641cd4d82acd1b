"""Shows what a prune would remove, and how much, before anything is deleted. `fetch` runs in a
worker thread and returns the narrow choice, and the wide one for a check box.
"""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QDialog, QVBoxLayout, QWidget
from shiboken6 import Shiboken

from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import plain, size, tr
from desktop.widgets.basics import button, label, row
from desktop.widgets.name_list import NameList
from engine.docker.types import Pruned
from vm.errors import Problem


@dataclass(frozen=True)
class Wording:
    """`count`: the text for a number; `wider`: the text of the check box, "" for none."""

    title: str
    loses: str
    nothing: str
    count: Callable[[int], str]
    wider: str = ""


class PruneDialog(QDialog):
    """`then` gets whether the box was checked."""

    def __init__(
        self,
        app: AppContext,
        parent: QWidget,
        wording: Wording,
        fetch: Callable[[], tuple[Pruned, ...]],
        then: Callable[[bool], object],
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(wording.title)
        self.setMinimumWidth(520)
        self._wording = wording
        self._found: tuple[Pruned, ...] = ()
        self.sum = label(tr("Calculating unused space…"), "heading", wrap=True)
        self.names = NameList(tr("What would be deleted"))
        self.wide = QCheckBox(plain(wording.wider))
        if not wording.wider:
            self.wide.hide()
        self.wide.toggled.connect(lambda _on: self._show())
        self.agree = button(tr("Delete"), self.accept, "danger")
        self.agree.setEnabled(False)
        cancel = button(tr("Cancel"), self.reject)
        cancel.setDefault(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 16)
        box.setSpacing(12)
        box.addWidget(label(wording.title, "heading"))
        box.addWidget(label(wording.loses, "secondary", wrap=True))
        for widget in (self.wide, self.sum, self.names):
            box.addWidget(widget)
        box.addLayout(row(1, cancel, self.agree))
        self.accepted.connect(lambda: then(self.wide.isChecked()))
        app.tasks.quietly(fetch, self._take, self._fail)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """As high as its sentences need to be at this width, which a layout alone ignores."""
        layout = self.layout()
        if layout is not None:
            layout.activate()
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))

    def _take(self, found: tuple[Pruned, ...]) -> None:
        if not Shiboken.isValid(self):
            return
        self._found = found
        self._show()

    def _fail(self, problem: Problem) -> None:
        if Shiboken.isValid(self):
            self.sum.setText(messages.told(problem))
            self._fit()

    def _show(self) -> None:
        if not self._found:
            return
        found = self._found[-1 if self.wide.isChecked() else 0]
        text = self._wording.count(len(found.names))
        if found.bytes:
            text = tr("{count}, {size}", count=text, size=size(found.bytes))
        self.sum.setText(text if found.names else self._wording.nothing)
        self.names.show_names(found.names)
        self.agree.setEnabled(bool(found.names))
        self._fit()
