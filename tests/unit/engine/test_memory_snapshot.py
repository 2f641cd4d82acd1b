"""The whole engine while its machine is on the disk for a snapshot: who comes, cancels, stops."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from engine.engine import Engine
from engine.settings.store import SettingsStore
from tests.unit.engine.sleepy import Sleepy
from vm.errors import Cancelled
from vm.host import sparse
from vm.host.paths import Home
from vm.types import MachineState, SnapshotStep


@pytest.fixture
def backend() -> Sleepy:
    return Sleepy()


@pytest.fixture
def engine(home: Home, backend: Sleepy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """It runs."""
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)
    made = Engine(home, SettingsStore(home), backend)
    made.open()
    made.start()
    yield made
    made.stop(cold=True)
    made.close()


def state(engine: Engine) -> MachineState:
    return engine.status().machine.state


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """While the disk is copied."""
    real = sparse.duplicate

    def duplicate(*arguments: object) -> None:
        act()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sparse, "duplicate", duplicate)


def version(home: Home) -> bytes:
    """A client that is no ping."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(home.docker_socket))
        client.sendall(b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n")
        return client.recv(4096)


def test_a_client_who_comes_meanwhile_is_served_afterwards(
    engine: Engine, home: Home, backend: Sleepy, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(version(home)))
    meanwhile(monkeypatch, client.start)
    engine.snapshots.create("one", memory=True)
    client.join()
    assert answers[0].startswith(b"HTTP/1.1 200")
    assert state(engine) is MachineState.RUNNING
    assert backend.boots == 1
    assert not engine.status().auto_suspended


def test_it_is_shown_as_saving_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    meanwhile(monkeypatch, lambda: seen.append(engine.status()))
    engine.snapshots.create("one", memory=True)
    [one] = seen
    assert one.auto_suspended
    assert one.snapshot_work is not None
    assert one.snapshot_work.step is SnapshotStep.DISK


def test_a_cancel_while_it_goes_on_comes_too_late_and_ends_nothing(
    engine: Engine, backend: Sleepy
) -> None:
    backend.at_resume = engine.cancel
    engine.snapshots.create("one", memory=True)
    assert state(engine) is MachineState.RUNNING
    assert [one.name for one in engine.snapshots.kept] == ["one"]
    assert backend.boots == 1


def test_a_cancel_while_it_is_copied(
    engine: Engine, backend: Sleepy, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_disk = engine.console_log.parent.parent / "machine" / "data.img"
    engine_disk.write_bytes(b"x" * (8 << 20))
    meanwhile(monkeypatch, engine.cancel)
    with pytest.raises(Cancelled):
        engine.snapshots.create("one", memory=True)
    assert state(engine) is MachineState.RUNNING
    assert (engine.snapshots.kept, backend.boots) == ((), 1)


def test_a_stop_meanwhile_is_heeded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Thread(target=engine.stop)
    meanwhile(monkeypatch, stop.start)
    engine.snapshots.create("one", memory=True)
    stop.join()
    assert state(engine) is MachineState.STOPPED
    assert not engine.status().auto_suspended, "nobody brings it back by using it"
