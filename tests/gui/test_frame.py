"""The main window: pages and keys, palette, tasks, toasts, tray, saved state."""

import os
import signal
from collections.abc import Callable
from functools import partial

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QMainWindow, QMenu, QWidget

from desktop.app import App, end_on_signals
from desktop.context import DestructivePrompt
from desktop.dialogs import images
from desktop.dialogs.network import CreateNetworkDialog
from desktop.dialogs.volume import CreateVolumeDialog
from desktop.pages import catalog
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.list_page import ListPage
from desktop.pages.page import Command
from desktop.palette import Palette, Search
from desktop.session.engine_state import EngineState
from desktop.session.tasks import TaskState
from desktop.tray import Tray
from desktop.widgets.confirm import Confirm
from desktop.widgets.toasts import Toast
from engine.docker.client import DockerClient
from tests.gui.conftest import end_app
from tests.gui.test_containers_page import sleeper
from tests.unit.engine.bridge.servers import IMAGE
from vm.errors import EngineRefused, Problem, Retry
from vm.messages import Message

type WaitFor = Callable[..., None]


@pytest.mark.parametrize("number", range(1, len(catalog.places()) + 1))
def test_a_key_shows_each_page(app: App, number: int) -> None:
    QTest.keyClick(app.window, Qt.Key(Qt.Key.Key_0 + number), Qt.KeyboardModifier.ControlModifier)
    assert app.window.current_key == catalog.places()[number - 1].key


def test_every_control_of_every_page_has_a_name(app: App) -> None:
    """Screen readers need an accessible name for every control that the keyboard can reach."""
    nameless = []
    for place in catalog.places():
        app.window.go(place.key)
        QApplication.processEvents()
        for widget in app.window.findChildren(QWidget):
            reachable = widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            if reachable and not widget.accessibleName() and not own_text(widget):
                nameless.append(f"{place.key}: {type(widget).__name__} {widget.objectName()}")
    assert not nameless, "\n".join(sorted(set(nameless)))


def own_text(widget: QWidget) -> str:
    """The text from which Qt itself names a control, or the label that belongs to it."""
    text = getattr(widget, "text", None)
    own = str(text()) if callable(text) else ""
    if own or widget.objectName().startswith("qt_") or type(widget) is QWidget:
        return own or "inner part"
    labels = [one for one in widget.window().findChildren(QLabel) if one.buddy() is widget]
    return labels[0].text() if labels else ""


def test_the_palette_finds_actions_and_objects(
    app: App, client: DockerClient, wait_for: WaitFor
) -> None:
    made = client.containers.run(sleeper("findme"))
    wait_for(lambda: made in app.app_context.stores.containers.rows)
    QTest.keyClick(app.window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = app.window.findChild(Palette)
    assert palette is not None
    QTest.keyClicks(palette.field, "stop findme")
    assert palette.found.count() == 1
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    wait_for(lambda: not app.app_context.stores.containers.rows[made].state.is_up)


def titles(palette: Palette) -> list[str]:
    return [palette.found.item(row).text() for row in range(palette.found.count())]


@pytest.fixture
def palette(app: App, client: DockerClient, wait_for: WaitFor) -> Palette:
    """The palette of an engine with four containers, one of them stopped."""
    for name in ("redis", "redis-cache", "api"):
        client.containers.run(sleeper(name))
    client.containers.create(sleeper("idle"))
    wait_for(lambda: len(app.app_context.stores.containers.rows) == 4)
    wait_for(
        lambda: sum(r.state.is_up for r in app.app_context.stores.containers.rows.values()) == 3
    )
    app.window.go("images")
    app.window.show_palette()
    (found,) = app.window.findChildren(Palette)
    return found


def test_the_palette_finds_every_action_of_an_object(
    app: App, palette: Palette, wait_for: WaitFor
) -> None:
    for typed, first in (
        ("restart redis", "redis: Restart"),
        ("redis rstrt", "redis: Restart"),
        ("logs api", "api: Logs"),
        ("api stats", "api: Stats"),
        ("pause cache", "redis-cache: Pause"),
        ("delete bridge", ""),
        (f"run {IMAGE}", f"{IMAGE}:latest: Run…"),
        ("push", f"{IMAGE}:latest: Push…"),
        ("connect bridge", "bridge: Connect a container…"),
    ):
        palette.field.setText(typed)
        assert (titles(palette) or [""])[0] == first, typed
    palette.field.setText("stop idle")
    assert "idle: Stop" not in titles(palette), "an action that is not possible is not listed"
    palette.field.setText("logs api")
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert app.window.current_key == "containers"
    page = app.window.current
    assert isinstance(page, ListPage)
    assert isinstance(page.opened, ContainerDetailView)
    assert (page.opened.title.text(), page.opened.current) == ("api", "logs")


def test_the_palette_finds_an_object_before_its_actions_and_by_its_image(
    app: App, palette: Palette
) -> None:
    palette.field.setText("redis")
    assert titles(palette)[0] == "redis"
    assert "redis: Restart" in titles(palette)
    assert titles(palette).index("redis") < titles(palette).index("redis-cache")
    palette.field.setText(IMAGE)
    assert {"redis", "api", "idle"} <= set(titles(palette))


def test_the_palette_is_as_high_as_its_results(app: App, palette: Palette) -> None:
    whole = palette.height()
    palette.field.setText("restart redis")
    few = palette.height()
    assert few < whole / 2
    palette.field.setText("nothing like it")
    assert not palette.found.isVisible()
    assert palette.nothing.isVisible()
    assert palette.height() < whole / 2
    palette.field.clear()
    assert palette.height() == whole
    assert not palette.nothing.isVisible()


def test_the_palette_prefers_titles_that_begin_with_the_text(app: App) -> None:
    commands = [Command(title, lambda: None) for title in ("restart web", "start web", "web")]
    search = Search(commands, app.window)
    found = [command.title for command in search.find("start")]
    assert found == ["start web", "restart web"]
    assert search.find("nothing") == []


def test_a_failure_is_a_toast_with_its_hint_and_can_be_retried(app: App, wait_for: WaitFor) -> None:
    answers = iter(
        [EngineRefused(Message("", "It is taken.", "Take another."), retry=Retry.YES), None]
    )

    def work(_task: object) -> None:
        if (error := next(answers)) is not None:
            raise error

    app.app_context.tasks.start("Take it", work)
    wait_for(lambda: app.window.findChildren(Toast))
    toast = app.window.findChildren(Toast)[0]
    assert (toast.title, toast.text) == ("It is taken.", "Take another.")
    again = next(one for one in toast.findChildren(QWidget) if own_text(one) == "Try again")
    QTest.mouseClick(again, Qt.MouseButton.LeftButton)
    wait_for(lambda: app.app_context.tasks.all[-1].state is TaskState.DONE)
    wait_for(lambda: not app.window.findChildren(Toast))


def test_many_failures_do_not_cover_the_window(app: App) -> None:
    for number in range(30):
        app.window.complain(Problem("EngineRefused", f"Number {number} failed."))
    shown = [toast for toast in app.window.findChildren(Toast) if toast.isVisible()]
    assert len(shown) <= 4
    assert any("29" in toast.title for toast in shown)


def test_a_destructive_action_needs_a_typed_word(app: App) -> None:
    agreed: list[bool] = []
    prompt = DestructivePrompt("Reset?", "All of it.", "", "Reset", word="reset")
    app.window.confirm(prompt, lambda: agreed.append(True))
    confirm = app.window.findChild(Confirm)
    assert confirm is not None
    assert not confirm.agree.isEnabled()
    QTest.keyClicks(confirm.word, "rese")
    assert not confirm.agree.isEnabled()
    QTest.keyClicks(confirm.word, "t")
    QTest.mouseClick(confirm.agree, Qt.MouseButton.LeftButton)
    assert agreed == [True]


def test_the_tray_lists_running_containers(
    app: App, client: DockerClient, wait_for: WaitFor
) -> None:
    made = client.containers.run(sleeper("in-the-tray"))
    wait_for(lambda: made in app.app_context.stores.containers.rows)
    tray = Tray(app.app_context, app.show, lambda: None, app)
    tray.fill()
    texts = [action.text() for action in tray.menu.actions()]
    assert {"in-the-tray", "Quit", "Stop engine and quit", "Open Galley"} <= set(texts)


def test_the_trays_start_does_not_take_checked_for_its_argument(
    own_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qt passes "checked" to any slot with a parameter, and `engine.start` has one."""
    failures: list[object] = []
    monkeypatch.setattr(own_app.link, "request", lambda *given, failed: failures.append(failed))
    tray = Tray(own_app.app_context, own_app.show, lambda: None, own_app)
    tray.show_state(EngineState("exited", "", "", action="start"))
    tray.fill()
    menu = tray.menu
    next(one for one in menu.actions() if one.text() == "Start the engine").trigger()
    assert failures == [None]


def test_the_trays_menu_does_not_grow(app: App, client: DockerClient, wait_for: WaitFor) -> None:
    client.containers.run(sleeper("in-the-menu"))
    wait_for(lambda: app.app_context.stores.containers.rows)
    tray = Tray(app.app_context, app.show, lambda: None, app)
    for _ in range(5):
        tray.fill()
    wait_for(lambda: len(tray.menu.findChildren(QMenu)) == 1)


def test_the_wakeup_socket_for_signals_stays_open(qapp: QApplication) -> None:
    """A closed end would always be readable and keep a core busy."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    end_on_signals(qapp)
    for number, handler in before.items():
        signal.signal(number, handler)
    waking = signal.set_wakeup_fd(-1)
    assert os.fstat(waking)


def test_the_size_and_the_page_are_restored(
    app: App, qapp: QApplication, wait_for: WaitFor
) -> None:
    app.window.go("volumes")
    app.window.resize(app.window.minimumWidth(), 640)  # Qt's offscreen screen is not wider
    app.window.close()
    context = app.connection.context
    assert context is not None
    again = App(qapp, context)
    again.window.show()
    assert again.window.current_key == "volumes"
    assert again.window.height() == 640
    wait_for(lambda: again.connection.is_up)
    end_app(qapp, again)


def test_the_systems_scheme_is_followed(app: App) -> None:
    """Qt without a screen has no colour scheme, so the test emits the change."""
    app.app_context.use_scheme("system")
    for scheme, name in ((Qt.ColorScheme.Dark, "dark"), (Qt.ColorScheme.Light, "light")):
        app.app_context.theme.system_scheme = partial(Qt.ColorScheme, scheme)
        QGuiApplication.styleHints().colorSchemeChanged.emit(scheme)
        assert app.app_context.theme.tokens.name == name


def test_dark_and_light_redraw_everything(app: App) -> None:
    for choice in ("dark", "light"):
        app.app_context.use_scheme(choice)
        assert app.app_context.theme.tokens.name == choice
        picture = app.window.grab().toImage()
        corner = picture.pixelColor(picture.width() - 3, picture.height() // 2)
        assert corner == app.app_context.theme.color("window")


@pytest.mark.parametrize("name", ["containers", "images", "volumes", "networks"])
def test_the_smallest_window_keeps_every_rows_buttons(
    app: App, name: str, wait_for: WaitFor
) -> None:
    app.window.resize(app.window.minimumSize())
    app.window.go(name)
    page = app.window.current
    assert isinstance(page, ListPage)
    wait_for(lambda: page.table.header().length() <= page.table.viewport().width())


class StrayWindows(QObject):
    """Records the widgets that are shown as windows but are not meant to be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget):
            is_meant = isinstance(watched, QDialog | QMainWindow | QMenu)
            if watched.isWindow() and not is_meant:
                self.seen.append(f"{type(watched).__name__} {watched.accessibleName()}")
        return False


def test_no_part_of_a_page_or_dialog_is_shown_before_it_has_a_parent(
    app: App, qapp: QApplication, wait_for: WaitFor
) -> None:
    """It would flash as a separate window and close the palette."""
    stray = StrayWindows()
    qapp.installEventFilter(stray)
    app.window.show_palette()
    bridge = next(
        row.id for row in app.app_context.stores.networks.rows.values() if row.name == "bridge"
    )
    app.window.go("networks", bridge)
    CreateNetworkDialog(app.app_context, app.window).open()
    CreateVolumeDialog(app.app_context, app.window).open()
    images.ask_prune(app.app_context)
    wait_for(lambda: len(app.window.findChildren(QDialog)) > 3)
    qapp.removeEventFilter(stray)
    assert stray.seen == []
    for dialog in app.window.findChildren(QDialog):
        dialog.close()
