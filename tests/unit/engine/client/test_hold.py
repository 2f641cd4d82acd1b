"""`awake` starts a supervisor only if it must resume the machine."""

import pytest

from engine.client import launch
from engine.client.hold import awake
from engine.settings.store import SettingsStore
from vm.directory import MachineDir
from vm.host.paths import Home


class Started(Exception):
    """Raised instead of starting a supervisor."""


@pytest.fixture
def machine(home: Home, monkeypatch: pytest.MonkeyPatch) -> MachineDir:
    """A stopped machine without a supervisor."""

    def start(home: Home) -> None:
        raise Started

    monkeypatch.setattr(launch, "ensure_supervisor", start)
    SettingsStore(home).set("backend", "fake")
    made = MachineDir.of(home)
    made.root.mkdir(exist_ok=True)
    made.data_disk.touch()
    return made


def test_a_machine_that_its_user_stopped_is_not_resumed(home: Home, machine: MachineDir) -> None:
    with awake(home):
        pass


def test_an_auto_suspended_machine_is_resumed(home: Home, machine: MachineDir) -> None:
    machine.auto_suspended.touch()
    with pytest.raises(Started), awake(home):
        raise AssertionError("no supervisor was started")


def test_a_deleted_machine_is_not_resumed(home: Home, machine: MachineDir) -> None:
    machine.auto_suspended.touch()
    machine.data_disk.unlink()
    with awake(home):
        pass
