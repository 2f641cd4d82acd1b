"""Start, stop and restart are shown at once, wherever the user requests them."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.actions import engine
from desktop.app import App
from desktop.pages.engine.page import EnginePage
from desktop.pages.help.fixes import fix_for
from desktop.pages.welcome import WelcomePage
from desktop.palette import Palette
from desktop.session.link import EngineRequest
from desktop.session.tasks import TaskState
from desktop.tray import Tray
from engine.diagnose.run import Outcome, Result
from vm.errors import Problem
from vm.types import MachineState

type WaitFor = Callable[..., None]
type Send = Callable[[App, str], None]  # "start", "stop" or "restart"

TITLES = {
    "start": "Start the engine",
    "stop": "Stop the engine",
    "restart": "Restart the engine",
}
SHOWN = {
    "start": ("starting", "Starting the engine…"),
    "stop": ("stopping", "Stopping the engine…"),
    "restart": ("restarting", "Restarting the engine…"),
}


def engine_page(app: App) -> EnginePage:
    app.window.go("engine")
    found = app.window.current
    assert isinstance(found, EnginePage)
    return found


def on_the_page(app: App, request: str) -> None:
    button = getattr(engine_page(app), request)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def in_the_palette(app: App, request: str) -> None:
    app.window.show_palette()
    palette = app.window.findChild(Palette)
    assert palette is not None
    QTest.keyClicks(palette.field, TITLES[request])
    QTest.keyClick(palette.field, Qt.Key.Key_Return)


def in_the_tray(app: App, request: str) -> None:
    tray = Tray(app.app_context, app.show, lambda: None, app)
    tray.show_state(app.window.state)
    tray.fill()
    title = TITLES[request]
    next(one for one in tray.menu.actions() if one.text() == title).trigger()


def in_the_banner(app: App, request: str) -> None:
    app.window.go("containers")
    assert app.window.banner.button.text() == TITLES[request]
    QTest.mouseClick(app.window.banner.button, Qt.MouseButton.LeftButton)


def as_a_fix(app: App, request: str) -> None:
    kind = {"start": "SupervisorGone", "restart": "EngineFailed"}[request]
    fix = fix_for(app.app_context, Result("", Outcome.PROBLEM, Problem(kind, "It failed.")))
    assert fix is not None
    fix[1]()


def assert_shown(app: App, request: str) -> None:
    """Checks everything that shows the engine's state, before the supervisor responds."""
    word, text = SHOWN[request]
    assert app.window.state.word == word
    assert app.window.statusbar.engine.text() == text
    page = engine_page(app)
    assert page.word.text() == word
    assert not any(one.isEnabled() for one in (page.start, page.restart, page.stop))


@pytest.fixture
def running(own_app: App, wait_for: WaitFor) -> App:
    engine.start(own_app.app_context)
    wait_for(lambda: own_app.connection.is_up and own_app.link.state is MachineState.RUNNING)
    wait_for(lambda: own_app.window.state.word == "running")
    return own_app


@pytest.mark.parametrize(
    "send", [on_the_page, in_the_palette, in_the_tray, in_the_banner, as_a_fix]
)
def test_a_start_is_shown_at_once(own_app: App, wait_for: WaitFor, send: Send) -> None:
    send(own_app, "start")

    assert_shown(own_app, "start")
    wait_for(lambda: own_app.window.state.word == "running")
    wait_for(engine_page(own_app).stop.isEnabled)


@pytest.mark.parametrize("send", [on_the_page, in_the_palette, in_the_tray])
def test_a_stop_is_shown_at_once_and_until_it_is_complete(
    running: App, wait_for: WaitFor, send: Send
) -> None:
    words: list[str] = []
    running.window.state_changed.connect(lambda state: words.append(state.word))

    send(running, "stop")

    assert_shown(running, "stop")
    wait_for(lambda: running.window.state.word == "stopped")
    wait_for(engine_page(running).start.isEnabled)
    assert words[0] == "stopping"
    assert "starting" not in words


@pytest.mark.parametrize("send", [on_the_page, in_the_palette, as_a_fix])
def test_a_restart_is_shown_at_once(running: App, wait_for: WaitFor, send: Send) -> None:
    send(running, "restart")

    assert_shown(running, "restart")
    wait_for(lambda: running.window.state.word == "running")
    wait_for(engine_page(running).stop.isEnabled)


def test_the_banner_shows_a_stop(running: App, wait_for: WaitFor) -> None:
    running.window.go("containers")
    assert not running.window.banner.isVisible()

    in_the_tray(running, "stop")

    assert running.window.banner.isVisible()
    assert running.window.banner.text.text() == "Stopping the engine…"
    assert not running.window.banner.button.isVisible()
    wait_for(lambda: running.window.banner.button.text() == "Start the engine")


def test_the_welcome_page_shows_a_start_from_the_tray(own_app: App, wait_for: WaitFor) -> None:
    wait_for(lambda: own_app.window.current_key == "welcome")
    page = own_app.window.current
    assert isinstance(page, WelcomePage)
    assert page.start.isVisible()

    in_the_tray(own_app, "start")

    assert page.steps.isVisible()
    assert not page.start.isVisible()
    assert not page.cancel.isVisible(), "the page cancels only its own task"
    wait_for(page.first.isVisible)


def test_a_cancelled_request_is_no_longer_shown(running: App, wait_for: WaitFor) -> None:
    task = engine.stop(running.app_context)
    assert running.window.state.word == "stopping"

    task.cancel.set()

    wait_for(lambda: task.state is TaskState.CANCELLED)
    assert running.link.requested is None


def test_a_retry_is_shown_at_once(own_app: App, wait_for: WaitFor) -> None:
    """The toast of a failure and the list of tasks offer a retry."""
    folder = own_app.link.home.machine
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fake.json").write_text('{"damaged": true}')
    task = engine.start(own_app.app_context)
    wait_for(lambda: task.state is TaskState.FAILED)
    wait_for(lambda: own_app.window.state.word == "failed")
    (folder / "fake.json").unlink()
    assert task.retry is not None

    task.retry()

    assert_shown(own_app, "start")
    wait_for(lambda: own_app.window.state.word == "running")


def test_a_request_is_not_shown_for_another_engine(app: App) -> None:
    """Requests go to Galley's own engine only."""
    before = app.window.state
    app.link.requested = EngineRequest.START
    app.link.changed.emit()
    assert app.window.state == before
    assert before.word == "running"
