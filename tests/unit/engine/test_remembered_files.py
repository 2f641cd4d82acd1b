"""The guest is asked to forget as often as it knows too much, and not after the machine's end."""

import queue
from pathlib import Path
from typing import cast

import pytest

from engine import remembered_files
from engine.remembered_files import RememberedFiles
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import GuestUnreachable
from vm.guest import Stream
from vm.keeper import Keeper

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Machine:
    """The backend, and what its guest was asked."""

    def __init__(self) -> None:
        self.crowded: queue.Queue[bool] = queue.Queue()
        self.waits: queue.Queue[bool] = queue.Queue()
        self.forgot: queue.Queue[bool] = queue.Queue()
        self.answers = True

    def wait_crowded(self, directory: MachineDir) -> bool:
        self.waits.put(True)
        return self.crowded.get(timeout=PATIENCE)

    def forget(self) -> None:
        self.forgot.put(True)
        if not self.answers:
            raise GuestUnreachable("It does not answer.", "")


def dial(socket_path: str) -> Stream:
    raise AssertionError(f"nobody is to be asked at {socket_path}")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(Keeper, "forget", lambda keeper: made.forget())
    monkeypatch.setattr(remembered_files, "REST", 0.01)
    return made


@pytest.fixture
def files(machine: Machine, tmp_path: Path) -> RememberedFiles:
    directory = MachineDir(tmp_path, tmp_path, tmp_path)
    return RememberedFiles(directory, cast(Backend, machine))


def test_each_time_it_is_asked(files: RememberedFiles, machine: Machine) -> None:
    files.begin(dial)
    files.begin(dial)
    for answers in (True, False, True):
        machine.answers = answers
        machine.crowded.put(True)
        assert machine.forgot.get(timeout=PATIENCE)
    machine.crowded.put(False)


def test_the_next_machine_is_looked_after_though_the_last_has_hardly_ended(
    files: RememberedFiles, machine: Machine
) -> None:
    files.begin(dial)
    assert machine.waits.get(timeout=PATIENCE)
    files.end()
    files.begin(dial)
    assert machine.waits.get(timeout=PATIENCE)
    for _ in range(2):
        machine.crowded.put(True)
    assert machine.forgot.get(timeout=PATIENCE)
    assert machine.waits.get(timeout=PATIENCE)  # of the two, one looks on
    assert machine.forgot.empty()
    machine.crowded.put(False)
