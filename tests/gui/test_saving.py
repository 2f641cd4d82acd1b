"""An engine that saves resources: the window says so, and looking at it wakes nobody."""

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
QUIET_MS = 700  # in which a window that asks by itself has asked


@pytest.fixture
def sleeper(qapp: QApplication, own_home: None, wait_for: WaitFor) -> Iterator[App]:
    """The window on an engine in which nothing runs, and which is paused after a second."""
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
def auto_suspended(sleeper: App, wait_for: WaitFor, qtbot: QtBot) -> App:
    """The same, with its machine put away as the saver does it, whose file this writes: the backend
    that pretends has no memory to keep."""
    wait_for(lambda: sleeper.app_context.stores.info is not None)  # nothing is asked any more
    stop = engine.stop(sleeper.app_context)
    wait_for(lambda: stop.state.is_over and sleeper.link.state is MachineState.STOPPED)
    wait_for(lambda: not sleeper.connection.is_up)
    MachineDir.of(find_home()).auto_suspended.write_bytes(PONG)
    settings.change(sleeper.app_context, "save_after", "1h", lambda _none: None)
    wait_for(lambda: sleeper.link.auto_suspended)
    return sleeper


def _script(root: Path) -> None:
    folder = MachineDir.of(find_home()).root
    assert folder.is_relative_to(root)
    folder.mkdir(exist_ok=True)
    (folder / "fake.json").write_text('{"idle": true}')


def is_asleep(app: App) -> bool:
    return app.link.state is MachineState.PAUSED and app.connection.is_asleep


def show_as_running(app: App) -> None:
    """What runs is measured, on the screen or not."""
    store = app.app_context.stores.containers
    for key, row in store.rows.items():
        store.rows[key] = msgspec.structs.replace(row, state=ContainerState.RUNNING)
    store.changed.emit(Delta(changed=tuple(store.rows)))
    app.app_context.usage.watch(list(store.rows))


def test_it_says_so_and_stays_so_while_it_is_looked_at(
    sleeper: App, wait_for: WaitFor, qtbot: QtBot
) -> None:
    window = sleeper.window
    wait_for(lambda: is_asleep(sleeper))
    assert window.statusbar.engine.text() == "Resource Saver"
    assert window.state.word == "idle"
    for key in ("containers", "images", "volumes", "networks", "engine"):
        window.go(key)
        assert not window.banner.isVisible(), "there is nothing to be done about it"
    page = window.current
    assert isinstance(page, EnginePage)
    assert page.word.text() == "idle"
    assert page.start.isEnabled()
    window.hide()
    window.show()
    qtbot.wait(QUIET_MS)
    assert is_asleep(sleeper)
    assert sleeper.connection.is_up, "the events are still listened to"


def test_a_click_wakes_it(sleeper: App, wait_for: WaitFor) -> None:
    window = sleeper.window
    wait_for(lambda: is_asleep(sleeper))
    window.go("containers")
    rows = sleeper.app_context.stores.containers.rows.values()
    assert {row.state for row in rows} == {ContainerState.EXITED}
    QTest.keyClick(window, Qt.Key.Key_F5)
    wait_for(lambda: sleeper.link.state is MachineState.RUNNING)
    assert window.state.word == "running"
    assert window.statusbar.engine.text() == "Engine running"
    wait_for(lambda: is_asleep(sleeper))
    engine.start(sleeper.app_context)
    wait_for(lambda: sleeper.link.state is MachineState.RUNNING)


def test_no_page_is_forgotten() -> None:
    """Whoever adds one asks whether looking at it wakes the engine."""
    assert {place.key for place in catalog.places()} == {
        "containers", "images", "volumes", "networks", "engine", "settings", "help",
    }  # fmt: skip


def test_nobody_is_measured_while_it_sleeps(sleeper: App, wait_for: WaitFor, qtbot: QtBot) -> None:
    """Not even what runs: it would wake it every two seconds."""
    wait_for(lambda: is_asleep(sleeper))
    show_as_running(sleeper)
    qtbot.wait(QUIET_MS)
    assert is_asleep(sleeper)


def test_one_that_is_put_away_is_said_to_save_and_keeps_its_lists(
    auto_suspended: App, wait_for: WaitFor, qtbot: QtBot
) -> None:
    """Looking at it does not bring it back."""
    window, connection = auto_suspended.window, auto_suspended.connection
    assert not window.banner.isVisible(), "there is nothing to be done about it"
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
    assert page.stop.isEnabled(), "so that nothing brings it back"
    [row] = auto_suspended.app_context.stores.containers.rows.values()
    styler = ContainerStyler(auto_suspended.app_context)
    assert not styler.style(ListLine(key=row.id, row=row)).dim
    assert styler.buttons(ListLine(key=row.id, row=row)), "there is something to click at"
    show_as_running(auto_suspended)
    window.hide()
    window.show()
    qtbot.wait(QUIET_MS)
    assert auto_suspended.link.auto_suspended
    assert connection.is_up
    assert connection.is_asleep


def test_a_click_brings_back_one_that_is_put_away(auto_suspended: App, wait_for: WaitFor) -> None:
    """What was asked is done, without a refusal; meanwhile the window says what happens."""
    window, app_context = auto_suspended.window, auto_suspended.app_context
    said: list[str] = []
    window.state_changed.connect(lambda state: said.append(state.text))
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
    assert any(text.startswith("Resuming: ") for text in said), said
    assert "Engine stopped" not in said
    wait_for(lambda: loads)  # what happened meanwhile was not heard
    assert not auto_suspended.link.auto_suspended


def test_one_that_is_put_away_can_be_stopped_for_good(
    auto_suspended: App, wait_for: WaitFor
) -> None:
    engine.stop(auto_suspended.app_context)
    wait_for(lambda: not auto_suspended.link.auto_suspended)
    wait_for(lambda: auto_suspended.window.state.word == "stopped")
    assert auto_suspended.window.statusbar.engine.text() == "Engine stopped"
    assert not auto_suspended.connection.is_up
    with pytest.raises(EngineUnreachable):
        _ = auto_suspended.connection.client


def test_one_that_does_not_come_back_says_why(auto_suspended: App, wait_for: WaitFor) -> None:
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
