"""The snapshots of the machine: create, restore, delete."""

from functools import partial

from PySide6.QtWidgets import QGridLayout

from desktop.actions import snapshots as actions
from desktop.context import AppContext
from desktop.dialogs.snapshot import SnapshotDialog
from desktop.i18n.text import moment, percent, size, tip, tr
from desktop.pages.engine.cards import Card
from desktop.session.link import snapshot_step
from desktop.widgets.basics import button, label, row
from engine.types import EngineStatus
from vm.types import MachineSnapshot, MachineState, SnapshotStep, SnapshotWork

NAME, WHEN, SIZE, MEMORY, BACK, DELETE = range(6)


class SnapshotsCard(Card):
    def __init__(self, app: AppContext) -> None:
        super().__init__(tr("Snapshots"))
        self._app = app
        self._shown: tuple[tuple[MachineSnapshot, ...], bool] | None = None
        self.make = button(tr("Create a snapshot…"), self._make)
        self.words = label("", "secondary", wrap=True)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(MEMORY, 1)
        self.box.addLayout(row(self.heading, 1, self.make))
        self.box.addWidget(self.words)
        self.box.addLayout(self._grid)

    def show_engine(self, status: EngineStatus | None) -> None:
        kept = status.snapshots if status is not None else ()
        reason = _reason(status)
        self.make.setEnabled(not reason)
        self.make.setToolTip(tip(reason))
        self.words.setText(_words(kept, status.snapshot_work if status is not None else None))
        self.words.setVisible(bool(self.words.text()))
        if self._shown != (kept, bool(reason)):
            self._shown = kept, bool(reason)
            self._fill(kept, reason)

    def _make(self) -> None:
        SnapshotDialog(self._app, self.window()).open()

    def _fill(self, kept: tuple[MachineSnapshot, ...], reason: str) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for number, one in enumerate(reversed(kept)):
            back = button(
                tr("Restore…"),
                partial(actions.restore, self._app, one),
                "link",
                name=tr("Restore the snapshot {name}", name=one.name),
                tip=reason,
            )
            delete = button(
                tr("Delete…"),
                partial(actions.delete, self._app, one),
                "link",
                name=tr("Delete the snapshot {name}", name=one.name),
                tip=reason,
            )
            back.setEnabled(not reason)
            delete.setEnabled(not reason)
            self._grid.addWidget(label(one.name, select=True), number, NAME)
            self._grid.addWidget(label(moment(one.made_at), "secondary"), number, WHEN)
            self._grid.addWidget(
                label(size(one.used_bytes + one.memory_bytes), "mono"), number, SIZE
            )
            if one.memory_bytes:
                self._grid.addWidget(label(tr("with memory"), "secondary"), number, MEMORY)
            self._grid.addWidget(back, number, BACK)
            self._grid.addWidget(delete, number, DELETE)


def _reason(status: EngineStatus | None) -> str:
    """Why nothing can be done now; "" when it can."""
    if status is None:
        return tr("Galley's background process does not answer.")
    if status.snapshot_work is not None:
        return tr("A snapshot is being copied.")
    match status.machine.state:
        case MachineState.STARTING:
            return tr("It is starting.")
        case MachineState.STOPPING:
            return tr("It is stopping.")
        case MachineState.ABSENT if not status.snapshots:
            return tr("There is no data to save yet.")
    return ""


def _words(kept: tuple[MachineSnapshot, ...], work: SnapshotWork | None) -> str:
    if work is not None and work.step in (SnapshotStep.SUSPEND, SnapshotStep.GO_ON):
        return tr("{name}: {step}…", name=work.name, step=snapshot_step(work.step))
    if work is not None:
        share = percent(work.done_bytes / work.total_bytes, 0) if work.total_bytes else ""
        return tr("Copying {name}… {share}", name=work.name, share=share)
    if kept:
        return ""
    return tr("Save the state of the engine, try something, and restore the state.")
