"""At login the desktop starts Galley as a tray icon, with the engine if that is set."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from desktop import app as application
from desktop.app import HIDDEN, App
from desktop.pages.help.fixes import fix_for
from desktop.pages.settings.editors import SwitchEditor
from desktop.pages.settings.page import SettingsPage
from engine import autostart
from engine.autostart import linux
from engine.client.launch import connect_only
from engine.diagnose import host
from engine.diagnose.run import Outcome, Result
from engine.settings.store import SettingsStore
from tests.e2e.processes import belonging_to
from tests.gui.conftest import WaitFor, end_own_app
from tests.gui.screen import Screen
from tests.unit.engine.bridge.servers import wait_until
from vm.errors import Problem
from vm.host.paths import Home, find_home, make_home
from vm.types import MachineState

TITLE = "^Galley$"
ICON = 24  # pixels, in stalonetray


@pytest.fixture
def home() -> Home:
    """A home with the fake backend that starts at login with its engine."""
    made = make_home(find_home())
    store = SettingsStore(made)
    for name, value in (
        ("backend", "fake"), ("start_at_login", True), ("start_engine_at_login", True),
    ):  # fmt: skip
        store.set(name, value)
    return made


@pytest.fixture
def screen(home: Home) -> Iterator[Screen]:
    """Afterwards no process of Galley runs."""
    made = Screen(is_managed=False)
    made.start()
    yield made
    made.stop()  # the window ends with its screen
    wait_until(lambda: not windows(home), 30)
    galley = Path(sys.executable).with_name("galley")
    subprocess.run([galley, "quit"], check=True, capture_output=True)


def windows(home: Home) -> list[str]:
    return [line for line in belonging_to(str(home.root)).values() if "-m desktop" in line]


def state(home: Home) -> MachineState | None:
    client = connect_only(home)
    if client is None:
        return None
    with client:
        return client.status().machine.state


def test_the_entry_starts_an_icon_and_the_engine(
    home: Home, screen: Screen, tmp_path: Path
) -> None:
    entry = str(linux.path(autostart.login(home)))
    session = {"GALLEY_HOME": str(tmp_path / "another")}  # the entry names the home
    started = screen.open(["gio", "launch", entry], tmp_path / "entry.log", session)
    assert started.wait(30) == 0
    wait_until(lambda: state(home) is MachineState.RUNNING, 40)
    assert len(windows(home)) == 1
    # A desktop's tray may start last.
    screen.open(["stalonetray", "--geometry", "1x1"], tmp_path / "tray.log", {})
    screen.wait_for_ink(0, 0, ICON, ICON)
    galley = Path(sys.executable).with_name("galley")
    again = [str(galley), "desktop", "--hidden"]
    assert screen.open(again, tmp_path / "again.log", {}).wait(30) == 0
    wait_until(lambda: len(windows(home)) == 1, 30)  # the second one exits
    assert not screen.shows(TITLE)
    screen.click(ICON // 2, ICON // 2)
    screen.wait_for(TITLE)
    assert (home.logs / "window.log").read_text() == ""


@pytest.fixture
def hidden_app(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, home: Home, wait_for: WaitFor
) -> Iterator[App]:
    """Without a tray, and without a wait for one."""
    monkeypatch.setattr(application, "TRAY_SECONDS", 0.0)
    SettingsStore(home).set("start_engine_at_login", False)
    made = App(qapp)
    made.open_hidden()
    wait_for(lambda: made.link.status is not None)
    yield made
    end_own_app(qapp, made)


def test_without_a_tray_the_window_is_minimised_and_no_engine_starts(hidden_app: App) -> None:
    assert hidden_app.tray is None
    assert hidden_app.window.isMinimized()
    assert hidden_app.link.state is MachineState.ABSENT
    assert not hidden_app.app_context.tasks.all
    hidden_app.show()
    assert not hidden_app.window.isMinimized()


def test_another_start_at_login_does_not_raise_the_window(own_app: App) -> None:
    own_app.window.hide()
    own_app.asked(HIDDEN)
    assert not own_app.window.isVisible()
    own_app.asked("images")
    assert own_app.window.isVisible()
    assert own_app.window.current_key == "images"


def test_the_switch_follows_the_autostart_entry(own_app: App, wait_for: WaitFor) -> None:
    own_app.window.go("settings", "start_at_login")
    page = own_app.window.current
    assert isinstance(page, SettingsPage)
    wait_for(lambda: page.fields)
    edit = page.fields["start_at_login"].editor
    assert isinstance(edit, SwitchEditor)
    entry = linux.path(autostart.login(own_app.link.home))
    edit.box.click()
    wait_for(entry.exists)
    wait_for(page.fields["start_at_login"].reset.isVisible)
    entry.write_text(entry.read_text() + "Hidden=true\n")
    page.refresh()
    wait_for(lambda: not edit.box.isChecked())
    edit.box.click()
    wait_for(lambda: "Hidden" not in entry.read_text())


def test_an_autostart_problem_is_fixed_in_the_settings(own_app: App) -> None:
    wrong = Result(host.AUTOSTART.title, Outcome.PROBLEM, Problem("HostError", "Another Galley."))
    fix = fix_for(own_app.app_context, wrong)
    assert fix is not None
    fix[1]()
    assert own_app.window.current_key == "settings"
