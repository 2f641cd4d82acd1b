"""Resource use of Galley's own machine, polled while it is shown.

A stopped machine is not queried, and a paused one is not woken.
"""

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from desktop.session.link import Link
from desktop.session.tasks import Tasks
from engine.types import MachineUse
from vm.types import MachineState

PAUSE = 5000  # ms between two readings


class MachineStore(QObject):
    """`latest`: None if the machine does not report it."""

    changed = Signal()

    def __init__(self, tasks: Tasks, link: Link, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._link = link
        self._watched = self._asking = False
        self._timer = QTimer(self, singleShot=True, interval=PAUSE)
        self._timer.timeout.connect(self._ask)
        self.latest: MachineUse | None = None
        link.changed.connect(self._follow)

    def watch(self, on: bool) -> None:
        """Poll now, and repeatedly while it is on."""
        self._watched = on
        if on:
            self._ask()
        else:
            self._timer.stop()

    def _follow(self) -> None:
        if self._link.state is not MachineState.RUNNING:
            self._take(None)
        elif self.latest is None and not self._timer.isActive():
            self._ask()

    def _ask(self) -> None:
        runs = self._link.state is MachineState.RUNNING
        if self._watched and runs and not self._asking:
            self._asking = True
            self._tasks.quietly(self._read, self._answered, lambda _problem: self._answered(None))

    def _read(self) -> MachineUse | None:
        from engine.client.launch import connect_only

        client = connect_only(self._link.home)
        if client is None:
            return None
        with client:
            return msgspec.json.decode(client.call("use"), type=MachineUse)

    def _answered(self, use: MachineUse | None) -> None:
        self._asking = False
        self._take(use if self._link.state is MachineState.RUNNING else None)
        if self._watched:
            self._timer.start()

    def _take(self, use: MachineUse | None) -> None:
        if use != self.latest:
            self.latest = use
            self.changed.emit()
