"""A shell in the container. It is opened when the tab is first shown, and kept until the view
closes; when it ends, a strip below shows that and offers the next step. Next: `session.py`.
"""

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QFrame, QVBoxLayout

from desktop.actions import containers as actions
from desktop.context import AppContext
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.pages.containers.tab import Tab
from desktop.pages.containers.terminal.session import HANG_UP_SECONDS, Ending, TerminalSession
from desktop.stores.store import Delta
from desktop.widgets.basics import button, column, label, row
from desktop.widgets.terminal.screen import Frame
from desktop.widgets.terminal.view import EMPTY, TerminalView
from engine.docker.types import Container, ContainerState


class TerminalTab(Tab):
    def __init__(self, app: AppContext, key: str) -> None:
        super().__init__()
        self.app = app
        self.key = key
        self.view = TerminalView(app.theme)
        self.view.setAccessibleName(tr("Terminal"))
        self.setFocusProxy(self.view)
        self.session: TerminalSession | None = None
        self._ending: Ending | None = None  # of the last session
        self._left = False
        self.say = label("", "heading", wrap=True)
        self.hint = label("", "secondary", wrap=True)
        self.step = button("", self._next_step, "primary")
        self.way_out = label(_way_out(), "secondary", wrap=True)
        self.view.setAccessibleDescription(self.way_out.text())
        self.strip = QFrame()
        self.strip.setProperty("kind", "banner")
        box = row(column(self.say, self.hint, gap=2), self.step, gap=12)
        box.setStretch(0, 1)
        box.setContentsMargins(14, 10, 14, 10)
        self.strip.setLayout(box)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 12, 0, 0)
        whole.setSpacing(8)
        whole.addWidget(self.view, 1)
        whole.addWidget(self.way_out)
        whole.addWidget(self.strip)
        self.strip.hide()
        self.view.left.connect(self.left)
        self.view.typed.connect(self._type)
        self.view.resized.connect(self._resize)
        app.stores.containers.changed.connect(self._follow)
        app.connection.changed.connect(self._settle)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._window_closes)

    def shown(self) -> None:
        self.view.setFocus()
        self._open_first()

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self.app.stores.containers.changed.disconnect(self._follow)
            self.app.connection.changed.disconnect(self._settle)
        self._hang_up()

    @property
    def _row(self) -> Container | None:
        return self.app.stores.containers.rows.get(self.key)

    @property
    def _runs(self) -> bool:
        found = self._row
        up = found is not None and found.state is ContainerState.RUNNING
        return up and self.app.connection.is_up

    def _open_first(self) -> None:
        """Open the first session; later ones are opened on request."""
        if self._ending is None and self.session is None and self._runs and self.isVisible():
            self._open()
        self._settle()

    def _open(self) -> None:
        if self._left or self.session is not None:
            return
        if self._ending is not None:
            self.view.forget()
        self._ending = None
        self.session = TerminalSession(self.app, self.key, *self.view.grid, self)
        self.session.drawn.connect(self._draw)
        self.session.ended.connect(self._end)
        self.session.open()
        self.view.is_live = True
        self._settle()

    def _draw(self, frame: Frame) -> None:
        self.view.show_frame(frame)

    def _end(self, ending: Ending) -> None:
        if self.session is not None:
            self.session.deleteLater()
            self.session = None
        self._ending = ending
        self.view.is_live = False
        if ending.problem is not None:
            self.view.show_frame(EMPTY)
        self.view.viewport().update()
        self._settle()

    def _hang_up(self, seconds: float = 0.0) -> None:
        if self.session is not None:
            self.session.close(seconds)
            self.session = None
            self.view.is_live = False

    def _window_closes(self) -> None:
        """Hang up, or the shell would keep running without a window."""
        self._hang_up(HANG_UP_SECONDS)

    def _type(self, data: bytes) -> None:
        if self.session is not None:
            self.session.write(data)
        elif data == b"\r":
            self._next_step()

    def _resize(self, columns: int, rows: int) -> None:
        if self.session is not None:
            self.session.resize(columns, rows)

    def _follow(self, delta: Delta) -> None:
        if self.key in delta.changed:
            self._open_first()

    def _next_step(self) -> None:
        """The action of the strip's button."""
        found = self._row
        if self.session is not None or found is None:
            return
        if self._runs:
            self._open()
        elif found.state is ContainerState.PAUSED:
            actions.resume(self.app, [found])
        else:
            actions.start(self.app, [found])
        self.view.setFocus()

    def _settle(self) -> None:
        """Update the strip to the current state."""
        found = self._row
        self.strip.setVisible(self.session is None)
        self.way_out.setVisible(self.session is not None)
        if self.session is not None:
            return
        self.step.setEnabled(self.app.connection.is_up and found is not None)
        if found is not None and not self._runs:
            paused = found.state is ContainerState.PAUSED
            words = tr("The container is paused") if paused else tr("The container is not running")
            hint = tr("A terminal needs a running container.")
            if self._ending is not None and self._ending.problem is None:
                hint = tr("The session ended with it; its output is above.")
            self._say(words, hint, tr("Resume") if paused else tr("Start"))
        elif self._ending is None:
            self.strip.hide()
        elif self._ending.problem is not None:
            problem = self._ending.problem
            self._say(messages.summary(problem), messages.hint(problem), tr("Try again"))
        else:
            code = self._ending.code
            words = tr("The session has ended")
            if code is not None:
                words = tr("The session has ended (exit {code})", code=code)
            hint = tr("Press Enter to open a new one.")
            self._say(words, hint, tr("Open a new one"))

    def _say(self, words: str, hint: str, step: str) -> None:
        self.say.setText(words)
        self.hint.setText(hint)
        self.step.setText(step)
        self.step.setAccessibleName(step)


def _way_out() -> str:
    """The keys that the program does not get."""
    hints = (
        tr("Shift+Esc leaves the terminal"),
        tr("Ctrl+Tab goes to the next tab"),
        tr("Ctrl+K finds a command"),
        tr("Ctrl+Shift+C and V copy and paste"),
    )
    return "  ·  ".join(hints)
