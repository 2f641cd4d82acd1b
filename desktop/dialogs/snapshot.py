"""The name of a new snapshot, and whether memory is kept."""

from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from desktop.actions import snapshots as actions
from desktop.context import AppContext
from desktop.dialogs.form import FormDialog
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.widgets.basics import column, label
from engine.types import EngineStatus


class SnapshotDialog(FormDialog):
    """The supervisor validates the name; its error is shown here."""

    def __init__(self, app: AppContext, parent: QWidget) -> None:
        super().__init__(
            parent,
            tr("Create a snapshot"),
            tr("Create"),
            tr(
                "A snapshot saves images, containers and volumes. Running containers keep "
                "running. Folders of this computer are not included."
            ),
        )
        self._app = app
        self.name = QLineEdit()
        self._name = self.add_field(tr("Name"), self.name)
        self.memory = QCheckBox(tr("Include the memory"))
        self.about_memory = label("", "secondary", wrap=True)
        self.fields.addLayout(column(self.memory, self.about_memory, gap=4))
        self._offer_memory(app.link.status)
        self.name.setFocus()

    def send(self) -> bool:
        name = self.name.text().strip()
        if self._name.complain("" if name else tr("Enter a name.")):
            return False
        memory = self.memory.isChecked()
        actions.create(self._app, name, memory, self.granted, self.refused)
        return True

    def _offer_memory(self, now: EngineStatus | None) -> None:
        """A suspended machine's memory is always included."""
        asleep = now is not None and now.machine.resumable
        refusal = now.no_memory if now is not None else None
        self.memory.setChecked(asleep)
        self.memory.setEnabled(not asleep and refusal is None)
        if asleep:
            text = tr("The machine is suspended: the snapshot includes its memory.")
        elif refusal is not None:
            text = messages.summary(refusal)
        else:
            text = tr(
                "Containers are paused while the memory is copied, and their connections close. "
                "Restoring the snapshot resumes them."
            )
        self.about_memory.setText(text)
        self.memory.setAccessibleDescription(text)
