"""Resource use is read from a running machine only; reclaiming disk space wakes the machine."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from engine.monitors.resources import Resources
from vm.backends.fake import FakeBackend, SocketStream
from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.guest.protocol import Stream
from vm.host import process
from vm.types import MachineState, Observation

ANSWERS = {"memory": "9 5 6 3 2", "disk": "90 40 45", "reclaim": "", "trim": "7"}


class Machine(FakeBackend):
    """This process is the machine's process; a trim frees half of its disk."""

    def __init__(self, folder: Path) -> None:
        self.directory = MachineDir(folder, folder, folder)
        self.directory.data_disk.write_bytes(b"x" * 65536)
        self.backend = self
        self.state = MachineState.RUNNING
        self.requests: list[str] = []

    def observe(self, directory: MachineDir) -> Observation:
        ours = process.identify(os.getpid())
        assert ours is not None
        return Observation(self.state, ours.pid)

    def dial(self, path: str) -> Stream:
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._answer, args=(theirs,), daemon=True).start()
        return SocketStream(ours)

    def _answer(self, theirs: socket.socket) -> None:
        with theirs:
            word = theirs.recv(100).decode().strip()
            self.requests.append(word)
            if word == "trim":
                self.directory.data_disk.write_bytes(b"x" * 32768)
            theirs.sendall(f"ok {ANSWERS[word]}\n".encode())

    def keep_awake(self) -> Callable[[], None]:
        self.requests.append("keep awake")
        return lambda: self.requests.append("release")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def resources(machine: Machine) -> Resources:
    return Resources(cast(Any, machine), machine.keep_awake)


def test_use_comes_from_the_guest_and_the_host(machine: Machine, resources: Resources) -> None:
    use = resources.use()
    assert (use.memory.total, use.memory.containers) == (9, 2)
    assert (use.disk.size, use.disk.available) == (90, 45)
    assert use.memory_on_host > 1 << 20
    assert use.disk_on_host == 65536
    assert machine.requests == ["memory", "disk"]


def test_a_paused_machine_is_not_queried(machine: Machine, resources: Resources) -> None:
    machine.state = MachineState.PAUSED
    with pytest.raises(NoMachine):
        resources.use()
    assert machine.requests == []


def test_a_machine_is_kept_awake_while_it_reclaims_disk(
    machine: Machine, resources: Resources
) -> None:
    reclaimed = resources.reclaim_disk()
    assert (reclaimed.before, reclaimed.after) == (65536, 32768)
    assert machine.requests == ["keep awake", "trim", "release"]
