"""For whom a supervisor is started that wakes the machine. The others find it as it is."""

import pytest

from engine.client import launch
from engine.client.hold import awake
from engine.settings.store import SettingsStore
from vm.directory import MachineDir
from vm.host.paths import Home


class Started(Exception):
    """A supervisor would have been."""


@pytest.fixture
def machine(home: Home, monkeypatch: pytest.MonkeyPatch) -> MachineDir:
    """One that is stopped, and nobody minds it."""

    def start(home: Home) -> None:
        raise Started

    monkeypatch.setattr(launch, "ensure_supervisor", start)
    SettingsStore(home).set("backend", "fake")
    made = MachineDir.of(home)
    made.root.mkdir(exist_ok=True)
    made.data_disk.touch()
    return made


def test_what_its_user_has_stopped_stays_so(home: Home, machine: MachineDir) -> None:
    with awake(home):
        pass


def test_what_was_put_away_is_had_back(home: Home, machine: MachineDir) -> None:
    machine.auto_suspended.touch()
    with pytest.raises(Started), awake(home):
        raise AssertionError("it does not run")


def test_a_machine_that_is_gone_is_not_had_back(home: Home, machine: MachineDir) -> None:
    machine.auto_suspended.touch()
    machine.data_disk.unlink()
    with awake(home):
        pass
