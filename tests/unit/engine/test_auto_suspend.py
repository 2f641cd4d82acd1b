"""The whole engine with auto-suspend: a suspend that fails, and the resume by a request."""

import threading
from collections.abc import Iterator

import pytest

from engine.bridge.unix import connect
from engine.dockerapi import http
from engine.engine import Engine
from engine.settings.store import SettingsStore
from tests.unit.engine.sleepy import Sleepy
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host.paths import Home
from vm.messages import Message
from vm.types import MachineState

TIMEOUT = 8.0  # seconds; less than the 10 s that a ping waits for its answer


class Watcher:
    """Records each machine state that the engine reports, and whether it is auto-suspended."""

    def __init__(self, engine: Engine) -> None:
        self.seen: list[tuple[MachineState, bool]] = []
        self._engine = engine
        self._changed = threading.Condition()
        engine.subscribe(lambda _: self._record())

    def _record(self) -> None:
        status = self._engine.status()
        with self._changed:
            self.seen.append((status.machine.state, status.auto_suspended))
            self._changed.notify_all()

    def wait_for(self, *seen: tuple[MachineState, bool]) -> None:
        """Waits until these states were seen in this order; others may come in between."""

        def has_seen() -> bool:
            remaining = iter(self.seen)
            return all(one in remaining for one in seen)

        with self._changed:
            assert self._changed.wait_for(has_seen, TIMEOUT), [*map(str, self.seen)]


@pytest.fixture
def backend() -> Sleepy:
    return Sleepy()


@pytest.fixture
def engine(home: Home, backend: Sleepy) -> Iterator[Engine]:
    """A running engine without containers. It is suspended after a second or two."""
    folder = MachineDir.of(home).root
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fake.json").write_text('{"idle": true}')
    settings = SettingsStore(home)
    settings.set("save_after", "1s")
    settings.set("suspend_after", "1s")
    made = Engine(home, settings, backend)
    made.open()
    made.start()
    yield made
    made.stop(cold=True)
    made.close()


def test_a_request_resumes_an_auto_suspended_engine(
    engine: Engine, home: Home, backend: Sleepy
) -> None:
    watcher = Watcher(engine)
    watcher.wait_for((MachineState.PAUSED, False), (MachineState.STOPPED, True))
    http.get(lambda: connect(home.docker_socket), "/version")
    assert engine.status().machine.state is MachineState.RUNNING
    assert not engine.status().auto_suspended
    assert backend.boots == 1


def test_the_engine_is_running_immediately_after_a_failed_suspend(
    engine: Engine, backend: Sleepy
) -> None:
    """After the failure the engine pings dockerd through the bridge. The bridge must not treat
    this ping as a client's request that resumes the machine."""

    def fail() -> None:
        backend.at_suspend = lambda: None
        raise BackendFailed(Message("", "The disk is full."))

    backend.at_suspend = fail
    watcher = Watcher(engine)
    watcher.wait_for((MachineState.STOPPING, True), (MachineState.RUNNING, False))
    assert engine.status().machine.problem is None
