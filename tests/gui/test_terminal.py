"""A shell in a container: typed into, resized, kept, ended and opened again."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from desktop.app import App
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.page import ContainersPage
from desktop.pages.containers.terminal.tab import TerminalTab
from desktop.palette import Palette
from engine.docker.client import DockerClient
from engine.docker.types import RunSpec
from tests.unit.engine.bridge.servers import IMAGE

LONGEST_TURN = 1.0  # seconds; a window that is blocked for longer looks frozen
type WaitFor = Callable[..., None]
ENDS_AT_ONCE = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")


@pytest.fixture
def detail(app: App, client: DockerClient, wait_for: WaitFor) -> ContainerDetailView:
    key = client.containers.run(RunSpec(IMAGE, "terminal-it", ENDS_AT_ONCE, network="none"))
    wait_for(lambda: key in app.app_context.stores.containers.rows)
    app.window.go("containers", key, "terminal")
    page = app.window.current
    assert isinstance(page, ContainersPage)
    assert isinstance(page.opened, ContainerDetailView)
    return page.opened


@pytest.fixture
def tab(detail: ContainerDetailView, wait_for: WaitFor) -> TerminalTab:
    found = detail.opened["terminal"]
    assert isinstance(found, TerminalTab)
    wait_for(lambda: prompt(found))
    return found


def prompt(tab: TerminalTab) -> bool:
    return tab.view.text().endswith("#")


def enter(tab: TerminalTab, words: str) -> None:
    QTest.keyClicks(tab.view, words)
    QTest.keyClick(tab.view, Qt.Key.Key_Return)


def test_a_typed_command_is_run(tab: TerminalTab, wait_for: WaitFor) -> None:
    enter(tab, "echo $((6 * 7)) done")
    wait_for(lambda: "\n42 done" in tab.view.text())
    enter(tab, "echo it be''gins; cat")
    wait_for(lambda: "it begins" in tab.view.text())  # the shell's line editor is off
    enter(tab, "spoken")
    wait_for(lambda: tab.view.text().count("spoken") == 2)  # cat has the terminal now
    QTest.keyClick(tab.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    wait_for(lambda: "^C" in tab.view.text() and prompt(tab))
    QTest.keyClick(tab.view, Qt.Key.Key_Up)
    wait_for(lambda: tab.view.text().endswith("gins; cat"))


def test_the_program_gets_the_size_of_the_terminal(
    app: App, tab: TerminalTab, wait_for: WaitFor
) -> None:
    columns, rows = tab.view.grid
    enter(tab, "stty size")
    wait_for(lambda: f"\n{rows} {columns}" in tab.view.text())
    app.window.resize(980, 600)
    wait_for(lambda: tab.view.frame_shown.columns == tab.view.grid[0] != columns)
    columns, rows = tab.view.grid
    assert len(tab.view.frame_shown.rows) == rows
    enter(tab, "while sleep 0.1; do stty size; done")  # the new size arrives a little later
    wait_for(lambda: f"\n{rows} {columns}" in tab.view.text())


def test_a_session_survives_a_change_of_tabs(
    detail: ContainerDetailView, tab: TerminalTab, wait_for: WaitFor
) -> None:
    enter(tab, "kept=yes")
    session = tab.session
    detail.show_tab("logs")
    detail.show_tab("terminal")
    assert tab.session is session
    enter(tab, "echo it is $kept")
    wait_for(lambda: "it is yes" in tab.view.text())


def test_scrolled_lines_can_be_read_and_copied(tab: TerminalTab, wait_for: WaitFor) -> None:
    enter(tab, "for n in $(seq 1 300); do echo row $n; done")
    wait_for(lambda: "row 300" in tab.view.text() and prompt(tab))
    bar = tab.view.verticalScrollBar()
    assert bar.maximum() == len(tab.view.history) > 200
    QTest.keyClick(tab.view, Qt.Key.Key_PageUp, Qt.KeyboardModifier.ShiftModifier)
    assert bar.value() < bar.maximum()
    QTest.mouseDClick(tab.view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(10, 10))
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(tab.view, Qt.Key.Key_C, keys)
    assert QGuiApplication.clipboard().text() == "row"
    QGuiApplication.clipboard().setText("echo pasted $((1 + 1))\n")
    QTest.keyClick(tab.view, Qt.Key.Key_V, keys)
    wait_for(lambda: "pasted 2" in tab.view.text())
    assert bar.value() == bar.maximum()


def test_escape_and_f5_go_to_the_program(app: App, tab: TerminalTab, wait_for: WaitFor) -> None:
    page = app.window.current
    assert isinstance(page, ContainersPage)
    enter(tab, "echo it be''gins; cat -v")
    wait_for(lambda: "it begins" in tab.view.text())
    QTest.keyClick(tab.view, Qt.Key.Key_Escape)
    QTest.keyClick(tab.view, Qt.Key.Key_F5)
    wait_for(lambda: "^[^[[15~" in tab.view.text())
    assert page.opened is not None


def test_ctrl_shortcuts_of_the_window_work_in_the_terminal(
    app: App, tab: TerminalTab, wait_for: WaitFor
) -> None:
    enter(tab, "echo it be''gins; cat -v")
    wait_for(lambda: "it begins" in tab.view.text())
    control = Qt.KeyboardModifier.ControlModifier
    QTest.keyClick(tab.view, Qt.Key.Key_K, control)
    palette = app.window.findChild(Palette)
    assert palette is not None
    palette.close()
    QTest.keyClick(tab.view, Qt.Key.Key_2, control)
    assert app.window.current_key == "images"
    QTest.keyClick(app.window, Qt.Key.Key_1, control)
    assert app.window.current_key == "containers"
    tab.view.setFocus()
    QTest.keyClicks(tab.view, "typed")
    wait_for(lambda: "typed" in tab.view.text())
    assert "^" not in tab.view.text().partition("it begins")[2]


def test_shift_escape_moves_the_focus_to_the_tabs(
    app: App, detail: ContainerDetailView, tab: TerminalTab, wait_for: WaitFor
) -> None:
    app.window.activateWindow()
    wait_for(app.window.isActiveWindow)
    assert tab.way_out.isVisible()
    assert "Shift+Esc" in tab.way_out.text()
    tab.view.setFocus()
    QTest.keyClick(tab.view, Qt.Key.Key_Escape, Qt.KeyboardModifier.ShiftModifier)
    assert app.window.focusWidget() is detail.tabs["terminal"]
    enter(tab, "exit")
    wait_for(tab.strip.isVisible)
    assert tab.way_out.isHidden()


def test_the_wheel_scrolls_an_editor(tab: TerminalTab, wait_for: WaitFor) -> None:
    enter(tab, "seq 1 300 > /tmp/rows; vi /tmp/rows")
    wait_for(lambda: tab.view.frame_shown.second_screen and "1/300" in tab.view.text())
    assert tab.view.frame_shown.cursor == (0, 0)
    pos, delta = QPointF(20, 20), QPoint(0, -120)
    held, phase = Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(pos, pos, QPoint(), delta, Qt.MouseButton.NoButton, held, phase, False)
    QApplication.sendEvent(tab.view.viewport(), event)
    wait_for(lambda: tab.view.frame_shown.cursor == (0, 3))


def test_enter_opens_a_new_session_after_the_end(tab: TerminalTab, wait_for: WaitFor) -> None:
    enter(tab, "exit 3")
    wait_for(tab.strip.isVisible)
    assert tab.say.text() == "The session has ended (exit 3)"
    assert tab.session is None
    QTest.keyClick(tab.view, Qt.Key.Key_Return)
    wait_for(lambda: prompt(tab))
    assert not tab.strip.isVisible()


def test_the_terminal_follows_a_stop_of_the_container(
    client: DockerClient, tab: TerminalTab, wait_for: WaitFor
) -> None:
    client.containers.stop(tab.key, 1)
    wait_for(lambda: tab.say.text() == "The container is not running" and tab.strip.isVisible())
    assert tab.session is None
    QTest.mouseClick(tab.step, Qt.MouseButton.LeftButton)
    wait_for(lambda: tab.step.text() == "Open a new one")
    QTest.mouseClick(tab.step, Qt.MouseButton.LeftButton)
    wait_for(lambda: tab.strip.isHidden() and prompt(tab))


def test_a_container_without_a_shell_is_reported(
    app: App, client: DockerClient, tab: TerminalTab, wait_for: WaitFor
) -> None:
    enter(tab, "rm /bin/sh; exit")
    wait_for(lambda: tab.session is None)
    QTest.keyClick(tab.view, Qt.Key.Key_Return)
    wait_for(lambda: tab.say.text() == "This container has no shell.")
    assert tab.view.text() == ""


def test_closing_the_view_hangs_up_the_session(
    app: App, client: DockerClient, tab: TerminalTab, wait_for: WaitFor
) -> None:
    enter(tab, "sleep 4321")
    key = tab.key

    def is_running() -> bool:
        return any("sleep 4321" in one.command for one in client.containers.processes(key))

    wait_for(is_running)
    app.window.pages["containers"].open("")
    wait_for(lambda: not is_running())


def test_a_flood_of_output_does_not_block_the_window(tab: TerminalTab, wait_for: WaitFor) -> None:
    turns: list[float] = []
    timer = QTimer(tab, interval=10)
    timer.timeout.connect(lambda: turns.append(time.monotonic()))
    timer.start()
    enter(tab, "yes flooded")
    wait_for(lambda: len(tab.view.history) > 2000)
    begun = len(turns)
    wait_for(lambda: len(turns) > begun + 50)
    timer.stop()
    assert max(later - sooner for sooner, later in pairwise(turns)) < LONGEST_TURN
    QTest.keyClick(tab.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    wait_for(lambda: prompt(tab), 30)
