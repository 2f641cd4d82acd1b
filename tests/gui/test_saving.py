"""A paused or suspended engine: the window shows it, and showing pages does not resume it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.actions import engine, settings
from desktop.app import App
from desktop.models.rows import ListLine
from desktop.pages import catalog
from desktop.pages.containers.page import ContainerStyler
from desktop.pages.engine.page import EnginePage
from desktop.stores.store import Delta
from engine.docker.types import ContainerState, EngineInfo
from engine.settings.store import SettingsStore
from tests.gui.conftest import end_own_app
from vm.directory import MachineDir
from vm.errors import EngineUnreachable, Problem
from vm.host.paths import find_home, make_home
from vm.types import MachineState

type WaitFor = Callable[..., None]
PONG = b"Api-Version: 1.45\r\nServer: Docker/28.0\r\n"
QUIET_MS = 700  # long enough for a window that polls to have sent a request


@pytest.fixture
def idle_app(qapp: QApplication, own_home: None, wait_for: WaitFor) -> Iterator[App]:
    """The window on an engine without running containers, which is paused after a second."""
    home = make_home(find_home())
    settings = SettingsStore(home)
    settings.set("backend", "fake")
    settings.set("save_after", "1s")
    _script(home.root)
    made = App(qapp)
    made.open()
    engine.start(made.app_context)
    wait_for(lambda: all(store.is_loaded for store in made.app_context.stores.all))
    yield made
    end_own_app(qapp, made)


@pytest.fixture
def auto_suspended(idle_app: App, wait_for: WaitFor, qtbot: QtBot) -> App:
    """The same with an auto-suspended machine. The fixture writes the resource saver's marker,
    because the fake backend has no memory to suspend."""
    wait_for(lambda: idle_app.app_context.stores.info is not None)  # no more requests follow
    stop = engine.stop(idle_app.app_context)
    wait_for(lambda: stop.state.is_over and idle_app.link.state is MachineState.STOPPED)
    wait_for(lambda: not idle_app.connection.is_up)
    MachineDir.of(find_home()).auto_suspended.write_bytes(PONG)
    settings.change(idle_app.app_context, "save_after", "1h", lambda _none: None)
    wait_for(lambda: idle_app.link.auto_suspended)
    return idle_app


def _script(root: Path) -> None:
    folder = MachineDir.of(find_home()).root
    assert folder.is_relative_to(root)
    folder.mkdir(exist_ok=True)
    (folder / "fake.json").write_text('{"idle": true}')


def is_asleep(app: App) -> bool:
    return app.link.state is MachineState.PAUSED and app.connection.is_asleep


def show_as_running(app: App) -> None:
    """Running containers are measured, visible or not."""
    store = app.app_context.stores.containers
    for key, row in store.rows.items():
        store.rows[key] = msgspec.structs.replace(row, state=ContainerState.RUNNING)
    store.changed.emit(Delta(changed=tuple(store.rows)))
    app.app_context.usage.watch(list(store.rows))


def test_a_paused_engine_is_shown_as_idle_and_stays_paused(
    idle_app: App, wait_for: WaitFor, qtbot: QtBot
) -> None:
    window = idle_app.window
    wait_for(lambda: is_asleep(idle_app))
    assert window.statusbar.engine.text() == "Resource Saver"
    assert window.state.word == "idle"
    for key in ("containers", "images", "volumes", "networks", "engine"):
        window.go(key)
        assert not window.banner.isVisible(), "no action is needed"
    page = window.current
    assert isinstance(page, EnginePage)
    assert page.word.text() == "idle"
    assert page.start.isEnabled()
    window.hide()
    window.show()
    qtbot.wait(QUIET_MS)
    assert is_asleep(idle_app)
    assert idle_app.connection.is_up, "the event stream is still open"


def test_a_refresh_resumes_a_paused_engine(idle_app: App, wait_for: WaitFor) -> None:
    window = idle_app.window
    wait_for(lambda: is_asleep(idle_app))
    window.go("containers")
    rows = idle_app.app_context.stores.containers.rows.values()
    assert {row.state for row in rows} == {ContainerState.EXITED}
    QTest.keyClick(window, Qt.Key.Key_F5)
    wait_for(lambda: idle_app.link.state is MachineState.RUNNING)
    assert window.state.word == "running"
    assert window.statusbar.engine.text() == "Engine running"
    wait_for(lambda: is_asleep(idle_app))
    engine.start(idle_app.app_context)
    wait_for(lambda: idle_app.link.state is MachineState.RUNNING)


def test_this_file_covers_every_page() -> None:
    """A new page needs a check that showing it does not resume the engine."""
    assert {place.key for place in catalog.places()} == {
        "containers", "images", "volumes", "networks", "engine", "settings", "help",
    }  # fmt: skip


def test_no_container_is_measured_while_the_engine_is_paused(
    idle_app: App, wait_for: WaitFor, qtbot: QtBot
) -> None:
    """Not even a running one: that would resume the engine every two seconds."""
    wait_for(lambda: is_asleep(idle_app))
    show_as_running(idle_app)
    qtbot.wait(QUIET_MS)
    assert is_asleep(idle_app)


def test_an_auto_suspended_engine_is_shown_as_idle_and_keeps_its_lists(
    auto_suspended: App, wait_for: WaitFor, qtbot: QtBot
) -> None:
    """Showing pages does not resume it."""
    window, connection = auto_suspended.window, auto_suspended.connection
    assert not window.banner.isVisible(), "no action is needed"
    assert window.statusbar.engine.text() == "Resource Saver"
    assert "resumes on first use" in window.statusbar.engine.toolTip()
    for key in ("containers", "images", "volumes", "networks", "engine"):
        window.go(key)
        assert not window.banner.isVisible()
    page = window.current
    assert isinstance(page, EnginePage)
    assert page.word.text() == "idle"
    assert "suspended to disk" in page.note.text()
    assert page.start.isEnabled()
    assert page.stop.isEnabled(), "a stop keeps it from resuming"
    [row] = auto_suspended.app_context.stores.containers.rows.values()
    styler = ContainerStyler(auto_suspended.app_context)
    assert not styler.style(ListLine(key=row.id, row=row)).dim
    assert styler.buttons(ListLine(key=row.id, row=row)), "the row has buttons"
    show_as_running(auto_suspended)
    window.hide()
    window.show()
    qtbot.wait(QUIET_MS)
    assert auto_suspended.link.auto_suspended
    assert connection.is_up
    assert connection.is_asleep


def test_a_request_resumes_an_auto_suspended_engine(auto_suspended: App, wait_for: WaitFor) -> None:
    """The request succeeds, and meanwhile the window shows the resume."""
    window, app_context = auto_suspended.window, auto_suspended.app_context
    texts: list[str] = []
    window.state_changed.connect(lambda state: texts.append(state.text))
    window.go("containers")
    loads: list[bool] = []
    app_context.stores.volumes.loaded.connect(lambda: loads.append(True))
    outcome: list[object] = []
    work = app_context.tasks.start(
        "Ask", lambda _task: app_context.connection.client.info(), outcome.append, outcome.append
    )
    wait_for(lambda: work.state.is_over)
    assert isinstance(outcome[0], EngineInfo), outcome
    wait_for(lambda: auto_suspended.link.state is MachineState.RUNNING)
    wait_for(lambda: window.state.word == "running")
    assert any(text.startswith("Resuming: ") for text in texts), texts
    assert "Engine stopped" not in texts
    wait_for(lambda: loads)  # reloaded, because events were missed
    assert not auto_suspended.link.auto_suspended


def test_an_auto_suspended_engine_can_be_stopped(auto_suspended: App, wait_for: WaitFor) -> None:
    engine.stop(auto_suspended.app_context)
    wait_for(lambda: not auto_suspended.link.auto_suspended)
    wait_for(lambda: auto_suspended.window.state.word == "stopped")
    assert auto_suspended.window.statusbar.engine.text() == "Engine stopped"
    assert not auto_suspended.connection.is_up
    with pytest.raises(EngineUnreachable):
        _ = auto_suspended.connection.client


def test_a_failed_resume_is_reported_with_its_reason(
    auto_suspended: App, wait_for: WaitFor
) -> None:
    (MachineDir.of(find_home()).root / "fake.json").write_text('{"damaged": true}')
    app_context, outcome = auto_suspended.app_context, list[object]()
    auto_suspended.window.go("containers")
    work = app_context.tasks.start(
        "Ask", lambda _task: app_context.connection.client.info(), failed=outcome.append
    )
    wait_for(lambda: work.state.is_over)
    [problem] = outcome
    assert isinstance(problem, Problem)
    assert "damaged" in problem.summary
    wait_for(lambda: auto_suspended.window.state.action == "start")
    assert auto_suspended.window.banner.isVisible()
    _script(auto_suspended.link.home.root)
