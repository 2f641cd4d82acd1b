"""The detail view of a container: its header, its tabs, and the removal of the container."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QWidget

from desktop.app import App
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.logs.tab import LogsTab
from desktop.pages.containers.page import ContainersPage
from engine.docker.client import DockerClient
from engine.docker.types import ContainerState, RunSpec
from tests.unit.engine.bridge.servers import IMAGE

type WaitFor = Callable[..., None]
ENDS_AT_ONCE = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")


def sleeper(name: str) -> RunSpec:
    return RunSpec(IMAGE, name, ENDS_AT_ONCE, network="none")


def open_detail(app: App, wait_for: WaitFor, key: str, tab: str = "") -> ContainerDetailView:
    """Open the view as the list does."""
    wait_for(lambda: key in app.app_context.stores.containers.rows)
    app.window.go("containers", key, tab)
    page = app.window.current
    assert isinstance(page, ContainersPage)
    assert isinstance(page.opened, ContainerDetailView)
    return page.opened


@pytest.fixture
def key(client: DockerClient) -> str:
    return client.containers.run(sleeper("detail-web"))


def test_the_header_follows_the_container(
    app: App, client: DockerClient, key: str, wait_for: WaitFor
) -> None:
    view = open_detail(app, wait_for, key)
    assert view.title.text() == "detail-web"
    assert view.state.text() == "running"
    assert view.image.text() == IMAGE
    wait_for(view.stop_button.isVisible)
    assert not view.start_button.isVisible()
    QTest.mouseClick(view.stop_button, Qt.MouseButton.LeftButton)
    assert view.state.text() == "stopping…"  # before the engine responds
    wait_for(lambda: view.state.text() == "exited (0)")
    assert view.start_button.isVisible()
    QTest.mouseClick(view.start_button, Qt.MouseButton.LeftButton)
    wait_for(lambda: view.state.text() == "running")
    client.containers.pause(key)
    wait_for(lambda: view.start_button.text() == "Resume" and view.start_button.isVisible())
    client.containers.unpause(key)
    wait_for(lambda: view.state.text() == "running")
    client.containers.rename(key, "detail-other")
    wait_for(lambda: view.title.text() == "detail-other")


def test_the_log_comes_first_and_no_shell_is_started(
    app: App, client: DockerClient, key: str, wait_for: WaitFor
) -> None:
    view = open_detail(app, wait_for, key)
    view.show_tab("terminal")
    app.window.pages["containers"].open("")
    view = open_detail(app, wait_for, key)
    wait_for(lambda: view.current == "logs")
    assert set(view.opened) == {"logs"}  # no other tab was created


def test_arrow_keys_switch_the_tab(app: App, key: str, wait_for: WaitFor) -> None:
    view = open_detail(app, wait_for, key, "files")
    QTest.keyClick(view.tabs["files"], Qt.Key.Key_Right)
    assert view.current == "stats"
    assert view.tabs["stats"].isChecked()
    QTest.keyClick(view.tabs["stats"], Qt.Key.Key_Left)
    assert view.current == "files"
    view.step(-1)
    assert view.current == "terminal"


def test_a_removed_container_is_reported_with_a_way_back(
    app: App, client: DockerClient, key: str, wait_for: WaitFor
) -> None:
    view = open_detail(app, wait_for, key, "logs")
    client.containers.remove(key, force=True)
    wait_for(view.missing.isVisible)
    texts = [each.text() for each in view.missing.findChildren(QLabel)]
    assert "This container is gone" in texts
    assert not view.stop_button.isEnabled()
    QTest.mouseClick(view.way_back, Qt.MouseButton.LeftButton)
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    assert page.opened is None


def test_the_menu_has_the_actions_of_the_list(app: App, key: str, wait_for: WaitFor) -> None:
    view = open_detail(app, wait_for, key, "logs")
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    view.menu.aboutToShow.emit()
    list_menu = QMenu()
    page.fill_menu(list_menu, [page.model.lines[page.model.place(key)]])
    ours = [action.text() for action in view.menu.actions() if action.text()]
    assert ours == [action.text() for action in list_menu.actions() if action.text()][1:]
    assert "Recreate with changes…" in ours


def test_an_action_of_the_menu_updates_the_header(
    app: App, client: DockerClient, key: str, wait_for: WaitFor
) -> None:
    view = open_detail(app, wait_for, key, "logs")
    view.menu.aboutToShow.emit()
    next(one for one in view.menu.actions() if one.text() == "Kill").trigger()
    wait_for(lambda: view.state.text().startswith("failed"))
    row = app.app_context.stores.containers.rows[key]
    assert row.state is ContainerState.EXITED


def test_closing_the_view_stops_reading_the_log(app: App, key: str, wait_for: WaitFor) -> None:
    view = open_detail(app, wait_for, key, "logs")
    tab = view.opened["logs"]
    assert isinstance(tab, LogsTab)
    assert tab.is_reading
    app.window.pages["containers"].open("")
    assert not tab.is_reading


class ShownWindows(QObject):
    """Records the widgets that are shown as windows, even for a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.seen.append(type(watched).__name__)
        return False


def test_no_tab_shows_a_separate_window(
    app: App, qapp: QApplication, key: str, wait_for: WaitFor
) -> None:
    shown = ShownWindows()
    qapp.installEventFilter(shown)
    view = open_detail(app, wait_for, key)
    for name in view.tabs:
        view.show_tab(name)
        wait_for(view.opened[name].isVisible)
    qapp.removeEventFilter(shown)
    assert shown.seen == []


def test_keyboard_shortcuts_of_the_view(app: App, key: str, wait_for: WaitFor) -> None:
    view = open_detail(app, wait_for, key, "logs")
    window = app.window.windowHandle()
    window.requestActivate()
    wait_for(app.window.isActiveWindow)
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    logs = view.opened["logs"]
    assert isinstance(logs, LogsTab)
    view.tabs["logs"].setFocus()
    QTest.keyClick(window, Qt.Key.Key_F, control)
    assert logs.search_bar.field.hasFocus()
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert logs.view.hasFocus()
    QTest.keyClick(window, Qt.Key.Key_Tab, control)
    assert view.current == "terminal"
    QTest.keyClick(window, Qt.Key.Key_Tab, control)  # the terminal leaves this key to the view
    assert view.current == "files"
    focus = app.window.focusWidget()
    assert focus is not None
    assert focus.accessibleName() == "Files"  # the table, for the arrow keys
    QTest.keyClick(window, Qt.Key.Key_Backtab, control | shift)
    QTest.keyClick(window, Qt.Key.Key_Backtab, control | shift)
    assert view.current == "logs"
    QTest.keyClick(window, Qt.Key.Key_Escape)
    page = app.window.current
    assert isinstance(page, ContainersPage)
    assert page.opened is None
