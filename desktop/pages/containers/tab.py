"""The base class of tabs in a container's detail view.

Each tab is a file of its own, made when it is first shown. Next: `detail.py`, which has them.
"""

from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget


class Tab(QWidget):
    """`shown` and `hidden` follow its visibility; `leave` is called once, at the end."""

    left = Signal()  # by a key of its own: the tab's button takes the focus

    def shown(self) -> None:
        """It becomes visible. Expensive work starts here."""

    def hidden(self) -> None:
        """It is no longer visible: another tab or page is shown, or the window is hidden."""

    def leave(self) -> None:
        """The view closes: end streams, threads and timers. `hidden` may still follow."""

    def search(self) -> None:
        """Ctrl+F."""

    def refresh(self) -> None:
        """F5."""

    def step_out(self) -> bool:
        """Esc: as `Levels`."""
        return False

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.shown()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self.hidden()
