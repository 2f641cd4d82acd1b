"""A user's first steps in the window, on the real machine.

First run, start, pull from a real registry, run with a port, open every tab, stop, delete, prune.
One test, because each step needs the previous one.
"""

import os
import urllib.request
from collections.abc import Callable, Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.dialogs.image_name import ImageNameDialog
from desktop.dialogs.run.dialog import RunDialog
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.files_tab import FilesTab
from desktop.pages.containers.inside.tab import InsideTab
from desktop.pages.containers.logs.tab import LogsTab
from desktop.pages.containers.page import ContainersPage
from desktop.pages.containers.stats.tab import StatsTab
from desktop.pages.containers.terminal.tab import TerminalTab
from desktop.pages.welcome import WelcomePage
from desktop.widgets.confirm import Confirm
from engine.docker.types import Container
from engine.types import PublishedPort
from tests.e2e import registry
from tests.e2e.galley import IMAGE, Galley
from tests.gui.conftest import end_app
from vm.types import MachineState

type WaitFor = Callable[[Callable[[], object]], None]
PORT = 18099
PATIENCE_MS = 240_000
SERVE = (
    "sh -c \"trap 'exit 0' TERM; echo serving; "
    "while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom the kitchen' | nc -l -p 80; done\""
)


@pytest.fixture
def app(qapp: QApplication, fresh: Galley, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("GALLEY_HOME", str(fresh.home.root))
    monkeypatch.setenv("DOCKER_CONFIG", fresh.env["DOCKER_CONFIG"])
    made = App(qapp)
    made.open()
    yield made
    end_app(qapp, made)


@pytest.fixture
def wait_for(qtbot: QtBot) -> WaitFor:
    return lambda holds: qtbot.waitUntil(lambda: bool(holds()), timeout=PATIENCE_MS)


def test_from_first_run_to_prune(app: App, fresh: Galley, wait_for: WaitFor) -> None:
    start(app, wait_for)
    fresh.load_image()
    reference = registry.serve(fresh, IMAGE, "journey:1")
    pull(app, reference, wait_for)
    row = run(app, reference, wait_for)
    assert answer() == b"from the kitchen"
    check_log_tab(app, row, wait_for)
    check_terminal_tab(app, row, wait_for)
    check_files_tab(app, row, wait_for)
    check_stats_and_inside_tabs(app, row, wait_for)
    stop_and_delete(app, row, wait_for)
    prune(app, wait_for)


def start(app: App, wait_for: WaitFor) -> None:
    wait_for(lambda: isinstance(app.window.current, WelcomePage))
    page = app.window.current
    assert isinstance(page, WelcomePage)
    wait_for(lambda: app.link.status is not None)
    QTest.mouseClick(page.start, Qt.MouseButton.LeftButton)
    wait_for(lambda: app.link.state is MachineState.STARTING)
    wait_for(lambda: app.connection.is_up)
    wait_for(lambda: app.app_context.stores.containers.is_loaded)
    assert app.window.state.dot == "running"


def pull(app: App, reference: str, wait_for: WaitFor) -> None:
    app.window.go("images")
    from desktop.dialogs import images

    images.ask_pull(app.app_context)
    dialog = app.window.findChild(ImageNameDialog)
    assert dialog is not None
    QTest.keyClicks(dialog.edit, reference)
    QTest.keyClick(dialog.edit, Qt.Key.Key_Return)
    wait_for(
        lambda: any(reference in row.tags for row in app.app_context.stores.images.rows.values())
    )


def run(app: App, reference: str, wait_for: WaitFor) -> Container:
    dialog = RunDialog(app.app_context, reference)
    dialog.open()
    QTest.keyClicks(dialog.name_line, "first")
    dialog.command_line.setText(SERVE)
    port = dialog.form.ports.add(None)
    port.inside.setText("80")
    port.outside.setText(str(PORT))
    QTest.mouseClick(dialog.agree, Qt.MouseButton.LeftButton)
    wait_for(lambda: (row := named(app, "first")) and row.state.is_up and row.ports)
    row = named(app, "first")
    assert row is not None
    wait_for(lambda: any(one.forward.host_port == PORT for one in ports(app)))
    return row


def check_log_tab(app: App, row: Container, wait_for: WaitFor) -> None:
    tab = opened(app, row, "logs")
    assert isinstance(tab, LogsTab)
    wait_for(lambda: "serving" in tab.view.whole_text())


def check_terminal_tab(app: App, row: Container, wait_for: WaitFor) -> None:
    tab = opened(app, row, "terminal")
    assert isinstance(tab, TerminalTab)
    wait_for(lambda: tab.view.text().endswith("#"))
    QTest.keyClicks(tab.view, "echo $((6 * 7)) is what it says")
    QTest.keyClick(tab.view, Qt.Key.Key_Return)
    wait_for(lambda: "\n42 is what it says" in tab.view.text())


def check_files_tab(app: App, row: Container, wait_for: WaitFor) -> None:
    tab = opened(app, row, "files")
    assert isinstance(tab, FilesTab)
    wait_for(lambda: "bin" in [entry.name for entry in tab.browser.model.entries])


def check_stats_and_inside_tabs(app: App, row: Container, wait_for: WaitFor) -> None:
    stats = opened(app, row, "stats")
    assert isinstance(stats, StatsTab)
    wait_for(lambda: stats.cpu.values)
    inside = opened(app, row, "inside")
    assert isinstance(inside, InsideTab)
    wait_for(lambda: inside.loader.detail is not None)
    wait_for(lambda: inside.loader.processes)


def stop_and_delete(app: App, row: Container, wait_for: WaitFor) -> None:
    page = app.window.current
    assert isinstance(page, ContainersPage)
    page.back()
    page.table.choose(row.id)
    QTest.keyClick(page.table, Qt.Key.Key_Space)
    wait_for(lambda: (now := named(app, "first")) and not now.state.is_up)
    wait_for(lambda: not any(one.forward.host_port == PORT for one in ports(app)))
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    agree(app)
    wait_for(lambda: named(app, "first") is None)


def prune(app: App, wait_for: WaitFor) -> None:
    """Prunes the registry's container, after stopping it."""
    registry_row = named(app, "registry")
    assert registry_row is not None
    from desktop.actions import containers

    containers.stop(app.app_context, [registry_row])
    wait_for(lambda: (row := named(app, "registry")) and not row.state.is_up)
    containers.prune(app.app_context)
    agree(app)
    wait_for(lambda: not app.app_context.stores.containers.rows)


def agree(app: App) -> None:
    dialog = app.window.findChild(Confirm)
    assert dialog is not None
    QTest.mouseClick(dialog.agree, Qt.MouseButton.LeftButton)


def opened(app: App, row: Container, tab: str) -> object:
    app.window.go("containers", row.id, tab)
    page = app.window.current
    assert isinstance(page, ContainersPage)
    assert isinstance(page.opened, ContainerDetailView)
    return page.opened.opened[tab]


def named(app: App, name: str) -> Container | None:
    rows = app.app_context.stores.containers.rows.values()
    return next((row for row in rows if row.name == name), None)


def ports(app: App) -> tuple[PublishedPort, ...]:
    return app.link.status.ports if app.link.status else ()


def answer() -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=30) as response:
        content: bytes = response.read()
    return content
