"""I/O errors of this computer's disk, on a backend that reports them."""

import errno
import logging
import queue
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.monitors import host_disk_space
from engine.monitors.host_disk_space import ENOUGH, HostDiskSpace
from vm.backends.fake import FakeBackend
from vm.capabilities import WatchesDiskErrors
from vm.directory import MachineDir
from vm.errors import BackendFailed, GalleyError, Problem
from vm.messages import Message
from vm.types import DiskError

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Stalling(FakeBackend):
    """Stands still whenever `errors` has one; has ended once it has None."""

    def __init__(self) -> None:
        super().__init__()
        self.watches_disk_errors = Errors(self)
        self.errors: queue.SimpleQueue[DiskError | None] = queue.SimpleQueue()
        self.went_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.has_ended = False
        self.failure: GalleyError | None = None

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        return self.has_ended


class Errors(WatchesDiskErrors):
    """Of a machine's disk."""

    def __init__(self, backend: Stalling) -> None:
        self._backend = backend

    def wait(self, directory: MachineDir) -> DiskError | None:
        return self._backend.errors.get(timeout=PATIENCE)

    def resume(self, directory: MachineDir) -> None:
        self._backend.went_on.put(True)
        if self._backend.failure is not None:
            raise self._backend.failure


class Disk:
    """This computer's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 0
        self.failure: OSError | None = None
        self.looks: queue.SimpleQueue[int] = queue.SimpleQueue()
        monkeypatch.setattr(shutil, "disk_usage", self._look)
        monkeypatch.setattr(host_disk_space, "POLL", 0.01)

    def _look(self, folder: Path) -> "Disk":
        self.looks.put(self.free)
        if self.failure is not None:
            raise self.failure
        return self


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def backend() -> Stalling:
    return Stalling()


@pytest.fixture
def told() -> "queue.SimpleQueue[tuple[Problem, ...]]":
    return queue.SimpleQueue()


@pytest.fixture
def room(
    tmp_path: Path, backend: Stalling, told: "queue.SimpleQueue[tuple[Problem, ...]]"
) -> Iterator[HostDiskSpace]:
    directory = MachineDir(tmp_path, tmp_path, tmp_path)
    made = HostDiskSpace(directory, backend, lambda: told.put(made.problems))
    made.follow(True)
    made.follow(True)
    yield made
    made.close()
    backend.errors.put(None)


def test_it_is_a_problem_and_the_machine_resumes_when_there_is_space(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
    tmp_path: Path,
) -> None:
    for _ in range(2):
        disk.free = ENOUGH - 1
        backend.errors.put(DiskError.NO_ROOM)
        [problem] = told.get(timeout=PATIENCE)
        assert problem.kind == "DiskFull"
        assert str(tmp_path) in problem.hint
        for _ in range(3):
            disk.looks.get(timeout=PATIENCE)
        assert backend.went_on.empty()
        disk.free = ENOUGH
        assert backend.went_on.get(timeout=PATIENCE)
        assert told.get(timeout=PATIENCE) == ()
    assert told.empty()


def test_a_machine_that_ended_meanwhile_has_no_problem(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    backend.errors.put(DiskError.NO_ROOM)
    assert told.get(timeout=PATIENCE)
    backend.has_ended = True
    backend.errors.put(None)
    assert told.get(timeout=PATIENCE) == ()


def test_the_next_machine_is_watched_too(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    backend.errors.put(None)
    for thread in threading.enumerate():
        if thread.name == "host-disk-space":
            thread.join(PATIENCE)
    room.follow(False)
    room.follow(True)
    backend.errors.put(DiskError.NO_ROOM)
    assert told.get(timeout=PATIENCE)


def test_a_disk_that_refuses_for_another_reason_is_not_said_to_be_full(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
    tmp_path: Path,
) -> None:
    disk.free = ENOUGH
    backend.errors.put(DiskError.REFUSED)
    [problem] = told.get(timeout=PATIENCE)
    assert problem.kind == "HostError"
    assert "full" not in problem.summary
    assert str(tmp_path) in problem.hint
    assert backend.went_on.get(timeout=PATIENCE), "it is tried again"


def test_its_problem_is_published_once_until_writes_have_succeeded_for_a_while(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each write that it refuses comes just after the machine has gone on."""
    disk.free = ENOUGH
    monkeypatch.setattr(host_disk_space, "RECOVERED_AFTER", PATIENCE)
    with caplog.at_level(logging.WARNING, "engine.monitors.host_disk_space"):
        for _ in range(3):
            backend.errors.put(DiskError.REFUSED)
            assert backend.went_on.get(timeout=PATIENCE)
        assert told.get(timeout=PATIENCE)
        assert told.empty()
        assert room.problems
        assert len(caplog.records) == 1
        monkeypatch.setattr(host_disk_space, "RECOVERED_AFTER", 0.01)
        backend.errors.put(DiskError.REFUSED)
        assert told.get(timeout=PATIENCE) == ()


def test_a_disk_that_cannot_be_queried_counts_as_full(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    disk.free = ENOUGH
    disk.failure = OSError(errno.EIO, "Input/output error")
    backend.errors.put(DiskError.NO_ROOM)
    for _ in range(3):
        disk.looks.get(timeout=PATIENCE)
    assert backend.went_on.empty()
    disk.failure = None
    assert backend.went_on.get(timeout=PATIENCE)
    assert told.get(timeout=PATIENCE)
    assert told.get(timeout=PATIENCE) == ()


def test_a_machine_that_did_not_resume_is_resumed_again(
    disk: Disk,
    backend: Stalling,
    room: HostDiskSpace,
    told: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    """The backend tells again of one that still stands still."""
    disk.free = ENOUGH
    backend.failure = BackendFailed(Message("", "QEMU does not answer on its control socket."))
    for _ in range(2):
        backend.errors.put(DiskError.NO_ROOM)
        assert backend.went_on.get(timeout=PATIENCE)
    assert told.get(timeout=PATIENCE)
    assert told.empty()
    backend.failure = None
    backend.errors.put(DiskError.NO_ROOM)
    assert told.get(timeout=PATIENCE) == ()
