"""What a container is allowed to do: a summary, and all of it on demand. Next: `tab.py`."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from desktop.i18n.text import tr
from desktop.pages.containers.inside.facts import security_line, security_rows
from desktop.widgets.basics import button, card, column, label, row
from engine.docker.types import ContainerDetail, EngineInfo


class Security(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.line = label("", "secondary", wrap=True)
        self.more = button(tr("Show"), self._toggle, "link", name=tr("Show security"))
        self.more.hide()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[str, str]] = []
        self.card = card(self._grid)
        self.card.hide()
        head = row(self.line, self.more, gap=4)
        head.setStretch(0, 1)
        self.setLayout(column(head, self.card))

    def show_detail(self, detail: ContainerDetail, info: EngineInfo | None) -> None:
        self.line.setText(tr("Security: {what}", what=security_line(detail, info)))
        self.more.show()
        rows = security_rows(detail, info)
        if rows != self._rows:
            self._rows = rows
            self._fill()

    def _fill(self) -> None:
        for old in self.card.findChildren(QLabel):
            self._grid.removeWidget(old)
            old.deleteLater()
        top = Qt.AlignmentFlag.AlignTop
        for number, (name, value) in enumerate(self._rows):
            self._grid.addWidget(label(name, "secondary"), number, 0, top)
            self._grid.addWidget(label(value, wrap=True, select=True), number, 1)

    def _toggle(self) -> None:
        opened = self.card.isHidden()
        self.card.setVisible(opened)
        self.more.setText(tr("Hide") if opened else tr("Show"))
        self.more.setAccessibleName(tr("Hide security") if opened else tr("Show security"))
