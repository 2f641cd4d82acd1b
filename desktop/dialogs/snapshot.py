"""The name of a new snapshot. May import: `form`, `actions`, `text`."""

from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.actions import snapshots as actions
from desktop.desk import Desk
from desktop.dialogs.form import FormDialog
from desktop.text import tr


class SnapshotDialog(FormDialog):
    """The supervisor knows which names can be; its refusal is shown here."""

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(
            parent,
            tr("Create a snapshot"),
            tr("Create"),
            tr(
                "It keeps images, containers and volumes as they are now. What runs, runs on. What "
                "containers have in memory is not kept, nor are folders of this computer."
            ),
        )
        self._desk = desk
        self.name = QLineEdit()
        self._name = self.add_field(tr("Name"), self.name)
        self.name.setFocus()

    def send(self) -> bool:
        name = self.name.text().strip()
        if self._name.complain("" if name else tr("A name is wanted.")):
            return False
        actions.create(self._desk, name, self.granted, self.refused)
        return True
