"""The frame: sidebar, pages, banner, status bar, toasts, palette, keys. Pages are made when they
are first shown, so that the window opens at once. It implements `WindowApi` for everything in it.
Next: `pages/`.
"""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QMenu, QStackedWidget, QVBoxLayout, QWidget

from desktop.actions import engine
from desktop.context import Action, AppContext, DestructivePrompt
from desktop.i18n.text import percent, plain, plural, size, tip, tr
from desktop.pages import catalog
from desktop.pages.objects import objects
from desktop.pages.page import Command, Page
from desktop.palette import Palette
from desktop.session.engine_state import EngineState, engine_state, is_first_run
from desktop.session.tasks import Task, TaskState
from desktop.theme import icons
from desktop.widgets.banner import Banner
from desktop.widgets.basics import holder
from desktop.widgets.confirm import Confirm
from desktop.widgets.menu import Menu
from desktop.widgets.sidebar import Sidebar
from desktop.widgets.statusbar import HEIGHT, StatusBar
from desktop.widgets.task_list import TaskList, summary
from desktop.widgets.toasts import Toasts
from engine.dockercli.contexts import DockerContext, contexts
from vm.errors import Problem

SIZE = (1280, 800)


class Window(QMainWindow):
    """`closing` is emitted when the user closes it; the engine keeps running."""

    closing = Signal()
    state_changed = Signal(object)  # EngineState

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Galley")
        self.setWindowIcon(icons.app_icon())
        self.resize(*SIZE)
        self.setMinimumSize(860, 520)
        self.app: AppContext
        self.pages: dict[str, Page] = {}
        self.state = EngineState("paused", "", "")
        self._has_welcomed = False
        self._stack = QStackedWidget()

    def furnish(self, app: AppContext) -> None:
        """Make everything that needs the context, of which this window is a part."""
        self.app = app
        self._places = catalog.places()
        self.sidebar = Sidebar(app.theme, self._places)
        self.statusbar = StatusBar(app.theme)
        self.banner = Banner(app.theme, self._act)
        self._lay_out()
        self._toasts = Toasts(app.theme, self._whole, HEIGHT)
        self._task_list: TaskList | None = None
        self._connect()
        self._set_keys()
        if not app.prefs.geometry.isEmpty():
            self.restoreGeometry(app.prefs.geometry)
        self.go(catalog.known(app.prefs.text("page", "containers")))
        self._follow()

    # WindowApi

    @property
    def widget(self) -> QWidget:
        return self

    def go(self, page: str, key: str = "", tab: str = "") -> None:
        """As `WindowApi.go`."""
        before = self.current
        shown = self._page(page)
        if shown is not before:
            if before is not None:
                before.hidden()
            self._stack.setCurrentWidget(shown)
            self.sidebar.choose(page)
            self.app.prefs.set_text("page", page)
            self._show_banner()
            if self.isVisible():
                shown.shown()
        if key or shown is before:
            shown.open(key, tab)

    def toast(self, title: str, text: str = "", action: Action | None = None) -> None:
        self._toasts.say(title, text, action)

    def complain(
        self,
        problem: Problem,
        retry: Callable[[], object] | None = None,
        action: Action | None = None,
    ) -> None:
        self._toasts.complain(problem, retry, action)

    def run_image(self, ref: str) -> None:
        from desktop.dialogs.run.dialog import RunDialog  # a third of the window's start

        RunDialog(self.app, ref).open()

    def pin(self, card: QWidget) -> None:
        self._toasts.pin(card)

    def confirm(self, prompt: DestructivePrompt, then: Callable[[], object]) -> None:
        self.choose(prompt, lambda _chosen: then())

    def choose(self, prompt: DestructivePrompt, then: Callable[[bool], object]) -> None:
        Confirm(prompt, then, self).open()

    # The rest

    @property
    def current(self) -> Page | None:
        page = self._stack.currentWidget()
        return page if isinstance(page, Page) else None

    @property
    def current_key(self) -> str:
        return next((key for key, page in self.pages.items() if page is self.current), "")

    def raise_up(self) -> None:
        """Bring the window to the front."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def show_palette(self) -> None:
        Palette(self._commands(), self.app.theme, self).show()

    def _page(self, key: str) -> Page:
        if key not in self.pages:
            page = catalog.make(key, self.app)
            self.pages[key] = page
            self._stack.addWidget(page)
        return self.pages[key]

    def _lay_out(self) -> None:
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.banner)
        right.addWidget(self._stack, 1)
        upper = QHBoxLayout()
        upper.setSpacing(0)
        upper.addWidget(self.sidebar)
        upper.addLayout(right, 1)
        whole = QVBoxLayout()
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(upper, 1)
        whole.addWidget(self.statusbar)
        self._whole = holder(whole)
        self.setCentralWidget(self._whole)

    def _connect(self) -> None:
        app = self.app
        self.sidebar.chosen.connect(self.go)
        self.statusbar.engine_wanted.connect(lambda: self.go("engine"))
        self.statusbar.palette_wanted.connect(self.show_palette)
        self.statusbar.tasks_wanted.connect(self._show_tasks)
        app.tasks.changed.connect(lambda: self.statusbar.tasks.setText(summary(app.tasks)))
        app.tasks.ended.connect(self._announce)
        app.exit_notifier.failed.connect(self._report_exit)
        app.link.changed.connect(self._follow)
        app.connection.changed.connect(self._follow)
        app.usage.changed.connect(lambda _ids: self._show_totals())
        stores = app.stores
        stores.switched.connect(self._reset)
        stores.containers.changed.connect(lambda _delta: self._count("containers"))
        stores.images.changed.connect(lambda _delta: self._count("images"))
        stores.volumes.changed.connect(lambda _delta: self._count("volumes"))
        stores.networks.changed.connect(lambda _delta: self._count("networks"))
        switcher = Menu(self)
        switcher.aboutToShow.connect(lambda: self._fill_switcher(switcher))
        self.sidebar.switcher.setMenu(switcher)

    def _set_keys(self) -> None:
        def key(sequence: str, run: Callable[[], object]) -> None:
            QShortcut(QKeySequence(sequence), self).activated.connect(run)

        for number, place in enumerate(self._places, 1):
            key(f"Ctrl+{number}", partial(self.go, place.key))
        key("Ctrl+K", self.show_palette)
        key("Ctrl+F", lambda: self._page(self.current_key).focus_filter())
        key("F5", lambda: self._page(self.current_key).refresh())
        key("Escape", lambda: self._page(self.current_key).step_out())
        key("Ctrl+W", self.close)

    def _follow(self) -> None:
        app = self.app
        self.state = engine_state(app.link, app.connection)
        self.statusbar.show_state(self.state)
        self._show_banner()
        name = app.connection.context.name if app.connection.context else ""
        shown = tr("Galley VM") if app.connection.is_ours else name
        self.sidebar.switcher.show_engine(shown, self.state.dot)
        status = app.link.status
        if status is not None and status.engine.reachable and app.connection.is_ours:
            app.connection.poke()
        self._show_totals()
        self._welcome()
        self.state_changed.emit(self.state)

    def _reset(self) -> None:
        """After a switch to another engine: close whatever would act on the one before."""
        for page in self.pages.values():
            page.reset()
        self._toasts.clear()
        if self.current_key == "welcome":
            self.go("containers")

    def _welcome(self) -> None:
        """Shown once, instead of an empty list."""
        app = self.app
        if self._has_welcomed or not is_first_run(app.link, app.connection, app.prefs):
            return
        if catalog.needs_engine(self.current_key):
            self._has_welcomed = True
            self.go("welcome")

    def _show_banner(self) -> None:
        self.banner.show_state(self.state)
        if not catalog.needs_engine(self.current_key):
            self.banner.hide()

    def _act(self, action: str) -> None:
        match action:
            case "start":
                engine.start(self.app)
            case "replace":
                engine.replace_supervisor(self.app)
            case _:
                engine.reconnect(self.app)

    def _count(self, key: str) -> None:
        self.sidebar.set_count(key, len(getattr(self.app.stores, key).rows))
        self._show_totals()

    def _show_totals(self) -> None:
        rows = self.app.stores.containers.rows.values()
        if not self.app.connection.is_up:
            self.statusbar.show_totals([])
            return
        up = sum(row.state.is_up for row in rows)
        parts = [plural("{up} of %n containers", "{up} of %n container", len(rows), up=up)]
        total = self.app.usage.total() if up else None
        if total is not None:
            cores, memory = total
            parts += [
                tr("CPU {share}", share=percent(cores)),
                tr("Memory {size}", size=size(memory)),
            ]
        status = self.app.link.status
        if self.app.connection.is_ours and status is not None and status.machine.disk_bytes:
            machine = status.machine
            used, whole = size(machine.disk_used_bytes), size(machine.disk_bytes)
            parts.append(tr("Disk {used} of {whole}", used=used, whole=whole))
        self.statusbar.show_totals(parts)

    def _report_exit(self, problem: Problem, container: str) -> None:
        show = partial(self.go, "containers", container, "logs")
        self.complain(problem, action=(tr("Show the log"), show))

    def _announce(self, task: Task) -> None:
        if task.state is TaskState.FAILED and task.problem is not None:
            self._toasts.complain(task.problem, task.retry, about=task.title)
        elif task.state is TaskState.DONE and task.announce:
            self._toasts.say(task.title, task.note)

    def _show_tasks(self) -> None:
        if self._task_list is None:
            self._task_list = TaskList(self.app.tasks, self.app.theme, self)
        self._task_list.show_above(self.statusbar.tasks)

    def _fill_switcher(self, menu: QMenu) -> None:
        menu.clear()
        for context in contexts(self.app.link.home):
            words = tr("Galley VM") if context.ours else context.name
            text = f"{words}   {context.description}" if not context.ours else words
            action = menu.addAction(plain(text))
            action.setEnabled(not context.problem)
            action.setToolTip(tip(context.problem or text))
            action.setCheckable(True)
            action.setChecked(context == self.app.connection.context)
            use = partial(self._use, context)
            action.triggered.connect(use)

    def _use(self, context: DockerContext, _checked: bool = False) -> None:
        if context == self.app.connection.context:
            self.app.connection.poke()
        else:
            self.app.connection.use(context)

    def _commands(self) -> list[Command]:
        found = []
        for number, place in enumerate(self._places, 1):
            go = partial(self.go, place.key)
            found.append(Command(place.title, go, tr("Ctrl+{n}", n=number), place.icon))
        found += catalog.commands(self.app, self.state)
        for place in self._places:
            found += self._page(place.key).commands()
        return found + objects(self.app)

    # Qt

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.app.usage.attend(True)
        if self.current is not None:
            self.current.shown()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self.app.usage.attend(False)
        if self.current is not None:
            self.current.hidden()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self.app.prefs.geometry = self.saveGeometry()
        self.app.prefs.save()
        super().closeEvent(event)
        self.closing.emit()
