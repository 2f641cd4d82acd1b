"""A container's log in the window: followed, continued, searched, copied, saved, and fast."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from desktop.actions.container_logs import save_log
from desktop.app import App
from desktop.pages.containers.detail import ContainerDetailView
from desktop.pages.containers.logs.tab import LogsTab
from desktop.pages.containers.page import ContainersPage
from desktop.session.tasks import TaskState
from engine.docker.client import DockerClient
from engine.docker.types import RunSpec
from tests.unit.engine.bridge.servers import IMAGE

type WaitFor = Callable[..., None]
type OpenLog = Callable[[str], LogsTab]
STAYS = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
def open_log(app: App, client: DockerClient, wait_for: WaitFor) -> OpenLog:
    """Run a script in a container and open its log."""

    def look(script: str) -> LogsTab:
        spec = RunSpec(IMAGE, "logs-it", ("sh", "-c", script), network="none")
        key = client.containers.run(spec)
        wait_for(lambda: key in app.app_context.stores.containers.rows)
        app.window.go("containers", key, "logs")
        page = app.window.current
        assert isinstance(page, ContainersPage)
        assert isinstance(page.opened, ContainerDetailView)
        tab = page.opened.opened["logs"]
        assert isinstance(tab, LogsTab)
        return tab

    return look


def texts(tab: LogsTab) -> list[str]:
    rows = tab.view.rows
    return [rows[number].text for number in range(rows.first, rows.end)]


def test_a_log_is_followed_with_its_streams_and_colours(
    open_log: OpenLog, wait_for: WaitFor
) -> None:
    script = r"printf '\033[31mred\033[0m plain\n'; echo wrong >&2; sleep 0.3; echo later; "
    tab = open_log(script + STAYS)
    wait_for(lambda: "later" in texts(tab))
    rows = {tab.view.rows[number].text: tab.view.rows[number] for number in range(3)}
    assert set(rows) == {"red plain", "wrong", "later"}
    assert rows["wrong"].is_error
    assert [span[:2] for span in rows["red plain"].spans] == [(0, 3)]


def test_a_log_continues_after_a_restart(
    open_log: OpenLog, client: DockerClient, wait_for: WaitFor
) -> None:
    tab = open_log("for n in 1 2 3; do echo line $n; done; " + STAYS)
    wait_for(lambda: len(texts(tab)) == 3)
    client.containers.stop(tab.key)
    wait_for(lambda: not tab.is_reading)
    assert "exited" in tab.note.text()
    client.containers.start(tab.key)
    wait_for(lambda: len(texts(tab)) == 6)
    assert texts(tab) == ["line 1", "line 2", "line 3"] * 2
    assert tab.note.text() == ""
    client.containers.restart(tab.key, 1)
    wait_for(lambda: len(texts(tab)) == 9)


def test_long_lines_and_garbage_are_rows_too(open_log: OpenLog, wait_for: WaitFor) -> None:
    script = r"head -c 1048576 /dev/zero | tr '\0' x; echo; printf 'a\377\376\001b\n'; echo end; "
    tab = open_log(script + STAYS)
    wait_for(lambda: texts(tab)[-1:] == ["end"])
    rows = texts(tab)
    assert sum(map(len, rows[:-2])) == 1048576
    assert rows[-2] == "a\ufffd\ufffd\ufffdb"
    assert tab.view.whole_text().count("\n") == 2  # pieces of one line are one line


def test_scrolling_up_stops_following_and_counts_new_lines(
    open_log: OpenLog, wait_for: WaitFor
) -> None:
    script = (
        "i=0; while [ $i -lt 300 ]; do echo first $i; i=$((i+1)); done; "
        "while [ ! -e /go ]; do sleep 0.05; done; echo new; echo newer; "
    )
    tab = open_log(script + STAYS)
    wait_for(lambda: len(texts(tab)) == 300)
    QTest.keyClick(tab.view, Qt.Key.Key_PageUp)
    assert not tab.view.follows
    assert not tab.follow_button.isChecked()
    position = tab.view.verticalScrollBar().value()
    tab.app.connection.client.containers.run_in(tab.key, ("touch", "/go"))
    wait_for(lambda: tab.newer.text() == "2 new lines")
    assert tab.newer.isVisible()
    assert tab.view.verticalScrollBar().value() == position
    QTest.mouseClick(tab.newer, Qt.MouseButton.LeftButton)
    assert tab.follow_button.isChecked()
    assert tab.newer.isHidden()
    QTest.keyClick(tab.view, Qt.Key.Key_Home)
    assert not tab.follow_button.isChecked()
    QTest.keyClick(tab.view, Qt.Key.Key_End)
    assert tab.follow_button.isChecked()


def test_a_log_can_be_searched(open_log: OpenLog, wait_for: WaitFor) -> None:
    tab = open_log("i=0; while [ $i -lt 200 ]; do echo Line $i; i=$((i+1)); done; " + STAYS)
    wait_for(lambda: len(texts(tab)) == 200)
    QTest.keyClick(tab.view, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    field = tab.search_bar.field
    assert tab.window().focusWidget() is field
    QTest.keyClicks(field, "line 19")
    wait_for(lambda: tab.search_bar.count.text().endswith("of 11 lines"))
    first = tab.view.hit
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert tab.view.hit != first
    QTest.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert tab.view.hit == first
    QTest.keyClicks(field, "x")
    wait_for(lambda: tab.search_bar.count.text() == "0 lines")
    assert field.property("wrong") is True
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == ""
    assert tab.view.search is None
    assert tab.isVisible()  # Escape ends the search and does not close the view


def test_text_can_be_selected_and_copied(open_log: OpenLog, wait_for: WaitFor) -> None:
    tab = open_log("echo one; echo two; echo three; " + STAYS)
    wait_for(lambda: len(texts(tab)) == 3)
    area = tab.view.viewport()
    bottom = QPoint(area.width() - 20, 40)
    left = Qt.MouseButton.LeftButton
    QTest.mouseClick(area, left, pos=QPoint(2, 5))
    QTest.mouseClick(area, left, Qt.KeyboardModifier.ShiftModifier, bottom)
    assert tab.view.selected_text() == "one\ntwo\nthree"
    tab.view.select_all()
    QTest.keyClick(tab.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "one\ntwo\nthree"
    QTest.mouseDClick(area, left, pos=QPoint(20, 5))
    assert tab.view.selected_text() == "one"


def test_clear_empties_only_the_view(
    open_log: OpenLog, client: DockerClient, wait_for: WaitFor, tmp_path: Path
) -> None:
    tab = open_log("echo before; " + STAYS)
    wait_for(lambda: texts(tab) == ["before"])
    tab.clear()
    assert texts(tab) == []
    client.containers.restart(tab.key, 1)
    wait_for(lambda: texts(tab) == ["before"])  # the output after the restart
    path = tmp_path / "log.txt"
    task = save_log(tab.app, tab.key, "it", path, moments=False)
    wait_for(lambda: task.state is TaskState.DONE)
    assert path.read_text() == "before\nbefore\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_names_the_path(
    app: App, open_log: OpenLog, wait_for: WaitFor, tmp_path: Path
) -> None:
    tab = open_log("echo it; " + STAYS)
    path = tmp_path / "missing" / "log.txt"
    task = save_log(tab.app, tab.key, "it", path, moments=True)
    wait_for(lambda: task.state is TaskState.FAILED)
    assert task.problem is not None
    assert str(path) in task.problem.summary


def test_a_flood_of_lines_does_not_block_the_window(
    open_log: OpenLog, wait_for: WaitFor, record_property: Callable[[str, object], None]
) -> None:
    """Records the longest gap between two turns of the event loop, and the floor before it."""
    script = (
        "while [ ! -e /go ]; do sleep 0.05; done; "
        "i=0; while [ $i -lt 30000 ]; do echo this is line number $i of many; i=$((i+1)); done; "
    )
    tab = open_log(script + STAYS)
    gaps: list[float] = []
    last = [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    timer = QTimer()
    timer.timeout.connect(tick)
    timer.start(5)
    wait_for(lambda: len(gaps) > 100)
    floor = max(gaps[1:])
    tab.app.connection.client.containers.run_in(tab.key, ("touch", "/go"))
    gaps.clear()
    last[0] = time.perf_counter()  # the call above blocked the GUI thread
    wait_for(lambda: texts_end(tab) == "this is line number 29999 of many", 30)
    timer.stop()
    record_property("longest_gap_ms", round(1000 * max(gaps)))
    record_property("floor_ms", round(1000 * floor))
    assert len(tab.view.rows) == 30000
    assert tab.view.follows


def texts_end(tab: LogsTab) -> str:
    rows = tab.view.rows
    return rows[rows.end - 1].text if len(rows) else ""
