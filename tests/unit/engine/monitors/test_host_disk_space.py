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
    """Reports each error put into `errors`; None means that the machine has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.watches_disk_errors = Errors(self)
        self.errors: queue.SimpleQueue[DiskError | None] = queue.SimpleQueue()
        self.resumes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.has_ended = False
        self.failure: GalleyError | None = None

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        return self.has_ended


class Errors(WatchesDiskErrors):
    """Waits for the test's disk errors and counts resumes."""

    def __init__(self, backend: Stalling) -> None:
        self._backend = backend

    def wait(self, directory: MachineDir) -> DiskError | None:
        return self._backend.errors.get(timeout=PATIENCE)

    def resume(self, directory: MachineDir) -> None:
        self._backend.resumes.put(True)
        if self._backend.failure is not None:
            raise self._backend.failure


class Disk:
    """The host's disk: free space as the test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 0
        self.failure: OSError | None = None
        self.queries: queue.SimpleQueue[int] = queue.SimpleQueue()
        monkeypatch.setattr(shutil, "disk_usage", self._query)
        monkeypatch.setattr(host_disk_space, "POLL", 0.01)

    def _query(self, folder: Path) -> "Disk":
        self.queries.put(self.free)
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
def published() -> "queue.SimpleQueue[tuple[Problem, ...]]":
    return queue.SimpleQueue()


@pytest.fixture
def disk_space(
    tmp_path: Path, backend: Stalling, published: "queue.SimpleQueue[tuple[Problem, ...]]"
) -> Iterator[HostDiskSpace]:
    directory = MachineDir(tmp_path, tmp_path, tmp_path)
    made = HostDiskSpace(directory, backend, lambda: published.put(made.problems))
    made.follow(True)
    made.follow(True)
    yield made
    made.close()
    backend.errors.put(None)


def test_a_full_host_disk_is_a_problem_and_the_machine_resumes_when_there_is_space(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
    tmp_path: Path,
) -> None:
    for _ in range(2):
        disk.free = ENOUGH - 1
        backend.errors.put(DiskError.NO_ROOM)
        [problem] = published.get(timeout=PATIENCE)
        assert problem.kind == "DiskFull"
        assert str(tmp_path) in problem.hint
        for _ in range(3):
            disk.queries.get(timeout=PATIENCE)
        assert backend.resumes.empty()
        disk.free = ENOUGH
        assert backend.resumes.get(timeout=PATIENCE)
        assert published.get(timeout=PATIENCE) == ()
    assert published.empty()


def test_a_machine_that_ended_has_no_problem(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    backend.errors.put(DiskError.NO_ROOM)
    assert published.get(timeout=PATIENCE)
    backend.has_ended = True
    backend.errors.put(None)
    assert published.get(timeout=PATIENCE) == ()


def test_the_next_machine_is_watched_too(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    backend.errors.put(None)
    for thread in threading.enumerate():
        if thread.name == "host-disk-space":
            thread.join(PATIENCE)
    disk_space.follow(False)
    disk_space.follow(True)
    backend.errors.put(DiskError.NO_ROOM)
    assert published.get(timeout=PATIENCE)


def test_another_disk_error_is_not_reported_as_a_full_disk(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
    tmp_path: Path,
) -> None:
    disk.free = ENOUGH
    backend.errors.put(DiskError.REFUSED)
    [problem] = published.get(timeout=PATIENCE)
    assert problem.kind == "HostError"
    assert "full" not in problem.summary
    assert str(tmp_path) in problem.hint
    assert backend.resumes.get(timeout=PATIENCE), "the machine is resumed"


def test_repeated_write_errors_publish_one_problem_until_writes_succeed_for_a_while(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each failed write follows a resume of the machine."""
    disk.free = ENOUGH
    monkeypatch.setattr(host_disk_space, "RECOVERED_AFTER", PATIENCE)
    with caplog.at_level(logging.WARNING, "engine.monitors.host_disk_space"):
        for _ in range(3):
            backend.errors.put(DiskError.REFUSED)
            assert backend.resumes.get(timeout=PATIENCE)
        assert published.get(timeout=PATIENCE)
        assert published.empty()
        assert disk_space.problems
        assert len(caplog.records) == 1
        monkeypatch.setattr(host_disk_space, "RECOVERED_AFTER", 0.01)
        backend.errors.put(DiskError.REFUSED)
        assert published.get(timeout=PATIENCE) == ()


def test_a_disk_that_cannot_be_queried_counts_as_full(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    disk.free = ENOUGH
    disk.failure = OSError(errno.EIO, "Input/output error")
    backend.errors.put(DiskError.NO_ROOM)
    for _ in range(3):
        disk.queries.get(timeout=PATIENCE)
    assert backend.resumes.empty()
    disk.failure = None
    assert backend.resumes.get(timeout=PATIENCE)
    assert published.get(timeout=PATIENCE)
    assert published.get(timeout=PATIENCE) == ()


def test_a_machine_that_did_not_resume_is_resumed_again(
    disk: Disk,
    backend: Stalling,
    disk_space: HostDiskSpace,
    published: "queue.SimpleQueue[tuple[Problem, ...]]",
) -> None:
    """The backend reports the error again while the machine is halted."""
    disk.free = ENOUGH
    backend.failure = BackendFailed(Message("", "QEMU does not answer on its control socket."))
    for _ in range(2):
        backend.errors.put(DiskError.NO_ROOM)
        assert backend.resumes.get(timeout=PATIENCE)
    assert published.get(timeout=PATIENCE)
    assert published.empty()
    backend.failure = None
    backend.errors.put(DiskError.NO_ROOM)
    assert published.get(timeout=PATIENCE) == ()
