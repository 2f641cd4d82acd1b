"""The tray icon and its menu.

"Quit" leaves the engine running; "Stop engine and quit" does not. Where there is no tray, closing
the window ends the program.
"""

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from desktop.actions import containers, engine
from desktop.context import AppContext
from desktop.i18n.text import plain, plural, tr
from desktop.session.engine_state import EngineState
from desktop.theme import icons

SHOWN = 12  # containers in the menu


class Tray(QObject):
    def __init__(
        self,
        app: AppContext,
        show: Callable[[], object],
        quit_: Callable[[], object],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._app = app
        self._show = show
        self._quit = quit_
        self._state = EngineState("paused", "", "")
        self.menu = QMenu()
        self.menu.aboutToShow.connect(self.fill)
        self.icon = QSystemTrayIcon(icons.app_icon(), self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self.fill()

    @staticmethod
    def is_there() -> bool:
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self) -> None:
        self.icon.show()

    def show_state(self, state: EngineState) -> None:
        self._state = state
        # Some trays take markup and some show it, so that `tip` would not do.
        self.icon.setToolTip(f"Galley: {state.text}".replace("<", "‹"))

    def fill(self) -> None:
        """Show what can be done now."""
        menu, app = self.menu, self._app
        menu.clear()
        for inner in menu.findChildren(QMenu):  # which stay with it otherwise
            inner.deleteLater()
        menu.addAction(plain(self._state.text)).setEnabled(False)
        if app.connection.is_ours:
            if self._state.action == "start":
                menu.addAction(tr("Start the engine")).triggered.connect(
                    lambda _checked=False: engine.start(app)
                )
            elif app.connection.is_up:
                menu.addAction(tr("Stop the engine")).triggered.connect(
                    lambda _checked=False: engine.stop(app)
                )
        menu.addSeparator()
        self._fill_containers(menu)
        menu.addSeparator()
        menu.addAction(tr("Open Galley")).triggered.connect(lambda _checked=False: self._show())
        menu.addAction(tr("Quit")).triggered.connect(lambda _checked=False: self._quit())
        menu.addAction(tr("Stop engine and quit")).triggered.connect(
            lambda _checked=False: engine.stop(app, lambda _none: self._quit())
        )

    def _fill_containers(self, menu: QMenu) -> None:
        app = self._app
        up = [row for row in app.stores.containers.rows.values() if row.state.is_up]
        words = plural("%n containers run", "%n container runs", len(up))
        menu.addAction(plain(words)).setEnabled(False)
        for row in up[:SHOWN]:
            inner = menu.addMenu(plain(row.name))
            inner.addAction(tr("Show")).triggered.connect(
                lambda _checked=False, row=row: self._open(row.id)
            )
            inner.addAction(tr("Stop")).triggered.connect(
                lambda _checked=False, row=row: containers.stop(app, [row])
            )
            inner.addAction(tr("Restart")).triggered.connect(
                lambda _checked=False, row=row: containers.restart(app, [row])
            )

    def _open(self, key: str) -> None:
        self._show()
        self._app.window.go("containers", key)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason is not QSystemTrayIcon.ActivationReason.Context:
            self._show()
