"""An engine that saves resources: the window says so, and looking at it wakes nobody."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.pages import catalog
from desktop.pages.engine.page import EnginePage
from engine.docker.types import ContainerState
from engine.settings import SettingsStore
from tests.gui.conftest import end_own_app
from vm.directory import MachineDir
from vm.host.paths import find_home, make_home
from vm.types import MachineState

type WaitFor = Callable[..., None]
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
    made.link.start_engine()
    wait_for(lambda: all(store.is_loaded for store in made.desk.stores.all))
    yield made
    end_own_app(qapp, made)


def _script(root: Path) -> None:
    folder = MachineDir.of(find_home()).root
    assert folder.is_relative_to(root)
    folder.mkdir(exist_ok=True)
    (folder / "fake.json").write_text('{"idle": true}')


def is_asleep(app: App) -> bool:
    return app.link.state is MachineState.PAUSED and app.connection.is_asleep


def test_it_says_so_and_stays_so_while_it_is_looked_at(
    sleeper: App, wait_for: WaitFor, qtbot: QtBot
) -> None:
    window = sleeper.window
    wait_for(lambda: is_asleep(sleeper))
    assert window.statusbar.engine.text() == "Saving resources"
    assert window.state.word == "saving"
    for key in ("containers", "images", "volumes", "networks", "engine"):
        window.go(key)
        assert not window.banner.isVisible(), "there is nothing to be done about it"
    page = window.current
    assert isinstance(page, EnginePage)
    assert page.word.text() == "saving"
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
    rows = sleeper.desk.stores.containers.rows.values()
    assert {row.state for row in rows} == {ContainerState.EXITED}
    QTest.keyClick(window, Qt.Key.Key_F5)
    wait_for(lambda: sleeper.link.state is MachineState.RUNNING)
    assert window.state.word == "running"
    assert window.statusbar.engine.text() == "Engine running"
    wait_for(lambda: is_asleep(sleeper))
    sleeper.link.start_engine()
    wait_for(lambda: sleeper.link.state is MachineState.RUNNING)


def test_no_page_is_forgotten() -> None:
    """Whoever adds one asks whether looking at it wakes the engine."""
    assert {place.key for place in catalog.places()} == {
        "containers", "images", "volumes", "networks", "engine", "settings", "help",
    }  # fmt: skip


def test_nobody_is_measured_while_it_sleeps(sleeper: App, wait_for: WaitFor, qtbot: QtBot) -> None:
    """Not even what runs: it would wake it every two seconds."""
    wait_for(lambda: is_asleep(sleeper))
    sleeper.desk.usage.watch([next(iter(sleeper.desk.stores.containers.rows))])
    qtbot.wait(QUIET_MS)
    assert is_asleep(sleeper)
    sleeper.desk.usage.watch([])
