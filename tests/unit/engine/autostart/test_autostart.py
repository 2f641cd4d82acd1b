"""Start at login as a setting: stored only as an autostart entry of the desktop."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine import autostart
from engine.autostart import Standing, linux
from engine.diagnose.facts import Facts
from engine.diagnose.host import AUTOSTART
from engine.dockercli.context import context_name
from engine.settings.setting import GIB, HostSize
from engine.settings.store import SettingsStore
from vm.errors import HostError
from vm.host.paths import Home, default_root, home_at

NAME = "start_at_login"


@pytest.fixture
def store(home: Home) -> SettingsStore:
    return SettingsStore(home, HostSize(4, 16 * GIB))


def entry(home: Home) -> Path:
    return linux.path(autostart.login(home))


def test_the_setting_is_the_autostart_entry(store: SettingsStore, home: Home) -> None:
    notified = []
    store.subscribe(lambda settings: notified.append(settings.start_at_login))
    assert getattr(store.current(), NAME) is False
    made = store.set(NAME, "true")
    assert (made.value, made.is_set) == (True, True)
    assert entry(home).exists()
    assert not home.settings.exists()
    assert store.load().start_at_login
    entry(home).unlink()  # as the desktop's own settings do
    assert getattr(store.current(), NAME) is False
    store.set(NAME, True)
    undone = store.unset(NAME)
    assert (undone.value, undone.is_set) == (False, False)
    assert not entry(home).exists()
    assert notified == [True, True, False]


def test_a_line_in_the_settings_file_is_reported_and_ignored(
    store: SettingsStore, home: Home
) -> None:
    home.settings.write_text("cpus = 2\nstart_at_login = true\n")
    assert getattr(store.current(), NAME) is False
    (problem,) = store.current().problems
    assert problem.summary == "settings.toml, line 2: start_at_login is not kept in this file."
    store.set("start_engine_at_login", True)
    assert store.load().start_engine_at_login


def test_a_reset_removes_the_entry(store: SettingsStore, home: Home) -> None:
    store.set(NAME, True)
    store.clear()
    assert not entry(home).exists()


def test_an_entry_that_cannot_be_written_is_an_error(store: SettingsStore, home: Home) -> None:
    entry(home).parent.parent.mkdir()
    entry(home).parent.write_text("a file, not a folder")
    with pytest.raises(HostError, match="Start at login cannot be changed"):
        store.set(NAME, True)
    assert getattr(store.current(), NAME) is False


def test_each_home_has_its_own_entry(home: Home, tmp_path: Path) -> None:
    autostart.enable(home)
    other = home_at(tmp_path / "other")
    assert autostart.state(other).standing is Standing.DISABLED
    autostart.enable(other)
    autostart.disable(home)
    assert autostart.state(other).standing is Standing.ENABLED
    default = autostart.login(home_at(default_root()))
    assert default.name == "galley"
    assert default.command[-2:] == ("desktop", "--hidden")
    assert autostart.login(home).name == context_name(home)
    assert autostart.login(home).command[-2:] == ("--home", str(home.root))


def test_without_a_galley_program_the_entry_runs_python(
    monkeypatch: pytest.MonkeyPatch, home: Home, tmp_path: Path
) -> None:
    assert autostart.login(home).command[0] == str(Path(sys.prefix, "bin", "galley"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    command = autostart.login(home).command
    assert command[:4] == (sys.executable, "-P", "-m", "engine.cli")
    done = subprocess.run([*command[:4], "version"], capture_output=True, check=True, timeout=30)
    assert done.stdout


def test_diagnose_checks_autostart_only_if_there_is_an_entry(home: Home) -> None:
    facts = Facts(home)
    assert not AUTOSTART.applies(facts)
    autostart.enable(home)
    assert AUTOSTART.applies(facts)
    assert AUTOSTART.check(facts) is None
    entry(home).write_text(entry(home).read_text() + "Hidden=true\n")
    assert AUTOSTART.applies(facts)
    problem = AUTOSTART.check(facts)
    assert problem is not None
    assert "keep Galley from starting" in problem.summary
