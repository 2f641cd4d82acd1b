"""Starts the window; the only place that makes long-lived objects.

    main    raises a window that is open already, or becomes it
    App     theme and language, then tasks; the link to the supervisor and the connection to the
            engine, each with its thread; the stores that follow them; the window, which shows them;
            the tray. Then Qt runs. At the end threads are stopped without waiting: dockerd notices
            that a client is gone.

Closing the window ends the program where there is no tray, and hides it where there is one. Neither
stops a container. A start at login (`--hidden`) starts in the tray.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication

from desktop import gc_policy
from desktop.actions import engine
from desktop.context import AppContext
from desktop.exit_notifier import ExitNotifier
from desktop.i18n import text
from desktop.pages import catalog
from desktop.prefs import Prefs
from desktop.session.connection import Connection
from desktop.session.link import Link
from desktop.session.tasks import Tasks, unexpected
from desktop.single_instance import SingleInstance
from desktop.stores.engine import EngineStores
from desktop.stores.usage import Usage
from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.window import Window
from engine.control.protocol import window_address
from engine.dockercli.contexts import DockerContext, contexts, this_home
from engine.dockercli.tools import search_path

if TYPE_CHECKING:
    from desktop.tray import Tray


HIDDEN = "--hidden"
TRAY_SECONDS = 15.0  # at login the desktop's panel may start after the window
TRAY_LOOK_MS = 250  # there is no signal for it


class App(QObject):
    """The long-lived objects. `context`: the engine to show first, None for the last one."""

    def __init__(self, qt: QApplication, context: DockerContext | None = None) -> None:
        super().__init__(qt)
        self.qt = qt
        home = this_home()
        self.prefs = Prefs(home.root)
        text.install(qt, self.prefs.text("language"))
        theme = Theme(qt, self.prefs.text("scheme", "system"))
        tasks = Tasks(self)
        self.link = Link(tasks, self)
        self.connection = Connection(tasks, self)
        stores = EngineStores(tasks, self.connection, self)
        usage = Usage(tasks, self.connection, stores.containers, self)
        self.window = Window()
        self.app_context = AppContext(
            theme=theme,
            prefs=self.prefs,
            tasks=tasks,
            link=self.link,
            connection=self.connection,
            stores=stores,
            usage=usage,
            exit_notifier=ExitNotifier(stores, self),
            window=self.window,
        )
        self.link.changed.connect(
            lambda: self.connection.see_machine(self.link.state, self.link.auto_suspended)
        )
        self.connection.use(context or self._last_context())
        self.window.furnish(self.app_context)
        self.tray: Tray | None = None
        self.window.closing.connect(self._window_closed)
        self.connection.changed.connect(self._remember_context)

        gc_policy.take_over()

    def open(self, page: str = "") -> None:
        self.window.show()
        if page:
            self.window.go(catalog.known(page))
        # After the first picture: what that does not need.
        QTimer.singleShot(0, self._open_rest)

    def open_hidden(self) -> None:
        """Open as at login: in the tray, or minimised where there is none; start the engine if that
        is set."""
        from engine.settings.store import SettingsStore

        self.link.open()
        self._await_tray(time.monotonic() + TRAY_SECONDS)
        if SettingsStore(self.link.home).current().start_engine_at_login:
            engine.start(self.app_context)

    def show(self, page: str = "") -> None:
        """Bring the window to the front, on `page` if given."""
        self.window.raise_up()
        if page:
            self.window.go(catalog.known(page))

    def asked(self, page: str) -> None:
        """Another start has found this window, and hands its argument over."""
        if page != HIDDEN:
            self.show(page)

    def close(self) -> None:
        """End the threads; containers and engine run on."""
        self.prefs.save()
        self.app_context.tasks.close()
        self.app_context.usage.close()
        self.connection.close()
        self.link.close()
        gc_policy.give_back()

    def _open_rest(self) -> None:
        self.link.open()
        self._add_tray()

    def _add_tray(self) -> None:
        from desktop.tray import Tray

        if Tray.is_there():
            self.tray = Tray(self.app_context, self.show, self.qt.quit, self)
            self.window.state_changed.connect(self.tray.show_state)
            self.tray.show_state(self.window.state)
            self.tray.show()

    def _await_tray(self, until: float) -> None:
        self._add_tray()
        if self.tray is None and time.monotonic() < until:
            QTimer.singleShot(TRAY_LOOK_MS, self, lambda: self._await_tray(until))
        elif self.tray is None and not self.window.isVisible():
            self.window.showMinimized()

    def _window_closed(self) -> None:
        if self.tray is None:
            self.qt.quit()

    def _last_context(self) -> DockerContext:
        found = contexts(self.link.home)
        wanted = self.prefs.text("context")
        usable = [one for one in found if one.name == wanted and not one.problem]
        return usable[0] if usable else found[0]

    def _remember_context(self) -> None:
        context = self.connection.context
        if context is not None:
            self.prefs.set_text("context", "" if context.ours else context.name)


def main(arguments: Sequence[str]) -> int:
    """`arguments`: the page to show, `--hidden`, or nothing."""
    page = next(iter(arguments), "")
    os.environ["PATH"] = search_path()  # a desktop's own may lack docker's credential helper
    qt = QApplication(["galley"])
    qt.setApplicationName("Galley")
    qt.setDesktopFileName("galley")
    qt.setWindowIcon(icons.app_icon())
    qt.setQuitOnLastWindowClosed(False)
    instance = SingleInstance(window_address(this_home()))
    if instance.hand_over(page):
        return 0
    instance.listen()
    app = App(qt)
    instance.asked.connect(app.asked)
    _report_mistakes(app)
    end_on_signals(qt)
    app.open_hidden() if page == HIDDEN else app.open(page)
    code = qt.exec()
    app.close()
    instance.close()
    sys.stdout.flush()
    # Worker threads may wait for dockerd; they are not waited for.
    os._exit(code)


def _report_mistakes(app: App) -> None:
    """Report an unexpected error in the window's thread; the window keeps running."""

    def report(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        traceback.print_exception(kind, error, trace)
        app.window.complain(unexpected(error))

    sys.excepthook = report


def end_on_signals(qt: QApplication) -> None:
    """SIGINT and SIGTERM close the window in order. Python runs handlers only between its own
    instructions, so that a byte on a socket has to wake Qt's loop."""
    if os.name != "posix":
        return
    import socket

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach())  # it stays open as long as the program
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: qt.quit())
    notifier = QSocketNotifier(ours.fileno(), QSocketNotifier.Type.Read, qt)
    notifier.activated.connect(lambda *_: ours.recv(64))
