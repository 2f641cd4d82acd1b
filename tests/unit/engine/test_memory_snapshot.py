"""The whole engine during a snapshot with memory: requests, cancel and stop."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from engine.engine import Engine
from engine.settings.store import SettingsStore
from tests.unit.engine.sleepy import Sleepy
from vm.directory import MachineDir
from vm.errors import Cancelled
from vm.host import sparse
from vm.host.paths import Home
from vm.types import MachineState, SnapshotStep


@pytest.fixture
def backend() -> Sleepy:
    return Sleepy()


@pytest.fixture
def engine(home: Home, backend: Sleepy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A running engine."""
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)
    made = Engine(home, SettingsStore(home), backend)
    made.open()
    made.start()
    yield made
    made.stop(cold=True)
    made.close()


def state(engine: Engine) -> MachineState:
    return engine.status().machine.state


def during_copy(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Calls `act` when the copy of the disk begins."""
    real = sparse.duplicate

    def duplicate(*arguments: object) -> None:
        act()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sparse, "duplicate", duplicate)


def request_version(home: Home) -> bytes:
    """A request that resumes a suspended machine, which a ping does not."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(home.docker_socket))
        client.sendall(b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n")
        return client.recv(4096)


def test_a_request_during_a_memory_snapshot_is_answered_afterwards(
    engine: Engine, home: Home, backend: Sleepy, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(request_version(home)))
    during_copy(monkeypatch, client.start)
    engine.snapshots.create("one", memory=True)
    client.join()
    assert answers[0].startswith(b"HTTP/1.1 200")
    assert state(engine) is MachineState.RUNNING
    assert backend.boots == 1
    assert not engine.status().auto_suspended


def test_the_status_reports_the_suspend_and_the_step_of_a_memory_snapshot(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = []
    during_copy(monkeypatch, lambda: statuses.append(engine.status()))
    engine.snapshots.create("one", memory=True)
    [status] = statuses
    assert status.auto_suspended
    assert status.snapshot_work is not None
    assert status.snapshot_work.step is SnapshotStep.DISK


def test_a_cancel_during_the_resume_has_no_effect(engine: Engine, backend: Sleepy) -> None:
    backend.at_resume = engine.cancel
    engine.snapshots.create("one", memory=True)
    assert state(engine) is MachineState.RUNNING
    assert [one.name for one in engine.snapshots.kept] == ["one"]
    assert backend.boots == 1


def test_a_cancel_during_the_copy_discards_the_snapshot(
    engine: Engine, home: Home, backend: Sleepy, monkeypatch: pytest.MonkeyPatch
) -> None:
    MachineDir.of(home).data_disk.write_bytes(b"x" * (8 << 20))
    during_copy(monkeypatch, engine.cancel)
    with pytest.raises(Cancelled):
        engine.snapshots.create("one", memory=True)
    assert state(engine) is MachineState.RUNNING
    assert (engine.snapshots.kept, backend.boots) == ((), 1)


def test_a_stop_during_a_memory_snapshot_stops_the_engine(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Thread(target=engine.stop)
    during_copy(monkeypatch, stop.start)
    engine.snapshots.create("one", memory=True)
    stop.join()
    assert state(engine) is MachineState.STOPPED
    assert not engine.status().auto_suspended, "the next request would resume it"
