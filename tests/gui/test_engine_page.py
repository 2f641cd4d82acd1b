"""The engine page: Galley's own engine can be started and stopped, another one is read-only."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from desktop.actions import engine
from desktop.app import App
from desktop.pages.engine.page import EnginePage
from desktop.pages.engine.verbs import verbs
from desktop.widgets.problem_card import ProblemCard
from engine.docker.client import DockerClient
from engine.docker.types import DiskUse
from engine.types import EngineHealth, EngineStatus
from vm.errors import EngineRefused, Problem
from vm.messages import Message
from vm.types import MachineState, Status

type WaitFor = Callable[..., None]
LEFT = Qt.MouseButton.LeftButton


def open_page(app: App) -> EnginePage:
    app.window.go("engine")
    found = app.window.current
    assert isinstance(found, EnginePage)
    return found


def test_galleys_own_engine_is_started_and_stopped(own_app: App, wait_for: WaitFor) -> None:
    page = open_page(own_app)
    wait_for(page.start.isEnabled)
    assert not page.stop.isEnabled()
    assert page.stop.toolTip() == "It is not running."

    QTest.mouseClick(page.start, LEFT)

    assert page.word.text() == "starting"  # before the supervisor responds
    assert not page.start.isEnabled()
    wait_for(lambda: page.word.text() == "running" and page.stop.isEnabled())
    timeline = page.start_card.timeline
    wait_for(lambda: all(step.seconds is not None for step in timeline.boot))
    steps = timeline.boot
    assert steps[-1].step == "Starting containers again"
    assert page.reach.engine.value.whole == "Docker 0.0-fake · API 1.45"
    assert page.reach.reason.text() == "The fake backend emulates nothing."
    assert "of" in page.disk.figures.text()
    wait_for(lambda: "by containers: 256" in page.memory.words.text())
    assert " of " in page.memory.figures.text()

    QTest.mouseClick(page.stop, LEFT)

    wait_for(lambda: page.word.text() == "stopped")
    assert page.start_card.timeline.boot == steps  # the last start is still shown
    assert page.start.isEnabled()


def test_the_button_copies_the_address_of_the_socket(own_app: App) -> None:
    page = open_page(own_app)

    QTest.mouseClick(page.reach.socket.button, LEFT)

    assert QGuiApplication.clipboard().text() == f"unix://{own_app.link.home.docker_socket}"
    assert page.reach.socket.button.text() == "Copied"


def test_a_failed_start_stays_on_the_page(own_app: App, wait_for: WaitFor) -> None:
    folder = Path(own_app.link.home.machine)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fake.json").write_text('{"damaged": true}')
    page = open_page(own_app)

    QTest.mouseClick(page.start, LEFT)

    wait_for(lambda: page.findChildren(ProblemCard))
    [card] = page.findChildren(ProblemCard)
    assert card.problem.hint
    wait_for(lambda: page.word.text() == "failed")
    assert page.start.isEnabled()


def test_a_failed_count_of_disk_usage_is_shown(
    own_app: App, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_client: DockerClient) -> DiskUse:
        raise EngineRefused(Message("", "a disk usage operation is already running"))

    page = open_page(own_app)
    engine.start(own_app.app_context)
    wait_for(page.disk.count.isVisible)

    with monkeypatch.context() as patched:
        patched.setattr(DockerClient, "disk_use", refuse)
        QTest.mouseClick(page.disk.count, LEFT)
        assert page.disk.count.text() == "Calculating…"
        wait_for(lambda: page.disk.words.text() == "The engine could not calculate it.")

    own_app.link.changed.emit()  # the next status of the machine does not remove it
    assert page.disk.words.text() == "The engine could not calculate it."
    assert page.disk.words.toolTip() == "a disk usage operation is already running"
    assert page.disk.count.isEnabled()

    QTest.mouseClick(page.disk.count, LEFT)
    wait_for(lambda: page.disk.count.text() == "Recalculate")
    assert "The engine uses" in page.disk.words.text()


def test_another_engine_is_read_only(app: App, wait_for: WaitFor) -> None:
    page = open_page(app)
    wait_for(page.reach.engine.isVisible)

    for one in (page.start, page.restart, page.stop, page.start_card, page.reach.backend):
        assert not one.isVisible()
    assert page.word.text() == "running"
    assert page.reach.system.isVisible()

    QTest.mouseClick(page.disk.count, LEFT)
    wait_for(lambda: page.disk.count.text() == "Recalculate")
    assert "The engine uses" in page.disk.words.text()


@pytest.mark.parametrize(
    ("state", "problem", "possible"),
    [
        (MachineState.ABSENT, None, {"start"}),
        (MachineState.STOPPED, None, {"start"}),
        (MachineState.STARTING, None, {"stop"}),
        (MachineState.RUNNING, None, {"restart", "stop"}),
        (MachineState.RUNNING, Problem("EngineFailed", "No."), {"start", "restart", "stop"}),
        (MachineState.STOPPING, None, set()),
        (MachineState.PAUSED, None, {"start", "restart", "stop"}),
        (MachineState.FAILED, None, {"start", "restart", "stop"}),
    ],
)
def test_possible_actions_of_each_state(
    state: MachineState, problem: Problem | None, possible: set[str]
) -> None:
    status = Status(state, "fake", problem=problem)
    found = verbs(EngineStatus("1", "", status, EngineHealth(False)))

    without_reason = {n for n in ("start", "restart", "stop") if not getattr(found, n)}
    assert without_reason == possible


def test_without_a_supervisor_no_action_is_possible() -> None:
    assert all((verbs(None).start, verbs(None).restart, verbs(None).stop))
