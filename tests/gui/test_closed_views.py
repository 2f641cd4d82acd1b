"""Closed logs, terminals and their frames are deleted without further action."""

import weakref

from PySide6.QtCore import QObject, Qt
from PySide6.QtTest import QTest

from desktop.app import App
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.logs.tab import LogsTab
from desktop.pages.containers.page import ContainersPage
from desktop.pages.containers.terminal.tab import TerminalTab
from engine.docker.client import DockerClient
from engine.docker.types import RunSpec
from tests.gui.conftest import WaitFor
from tests.unit.engine.bridge.servers import IMAGE

ROUNDS = 8
PRINTS_LINES = ("sh", "-c", "trap 'exit 0' TERM; seq 1 2000; sleep 1000 & wait")


def test_logs_and_terminals_are_deleted_after_they_are_closed(
    app: App, client: DockerClient, wait_for: WaitFor
) -> None:
    key = client.containers.run(RunSpec(IMAGE, "closed", PRINTS_LINES, network="none"))
    wait_for(lambda: key in app.app_context.stores.containers.rows)
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    seen: list[weakref.ref[object]] = []
    destroyed: list[str] = []
    for _ in range(ROUNDS):
        for made in open_log_and_terminal(app, page, key, wait_for):
            seen.append(weakref.ref(made))
            if isinstance(made, QObject):
                made.destroyed.connect(lambda: destroyed.append("one"))
        page.open("")
    del made
    objects = ROUNDS * 6  # all but the rows
    wait_for(lambda: len(destroyed) == objects)
    wait_for(lambda: not [ref() for ref in seen if ref() is not None])


def open_log_and_terminal(
    app: App, page: ContainersPage, key: str, wait_for: WaitFor
) -> tuple[object, ...]:
    """Opens a container's log and a shell in it; returns the objects of both."""
    app.window.go("containers", key, "logs")
    view = page.opened
    assert isinstance(view, ContainerDetailView)
    log = view.opened["logs"]
    assert isinstance(log, LogsTab)
    wait_for(lambda: len(log.view.rows) == 2000)
    app.window.go("containers", key, "terminal")
    terminal = view.opened["terminal"]
    assert isinstance(terminal, TerminalTab)
    wait_for(lambda: terminal.view.text().endswith("#"))
    QTest.keyClicks(terminal.view, "seq 1 300")
    QTest.keyClick(terminal.view, Qt.Key.Key_Return)
    wait_for(lambda: len(terminal.view.history) > 200)
    session = terminal.session
    assert session is not None
    return view, log, log.view, log.view.rows, terminal, terminal.view, session
