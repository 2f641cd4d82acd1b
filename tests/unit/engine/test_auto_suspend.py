"""The whole engine, suspended by its resource saver: a suspend that fails, and the next use."""

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

PATIENCE = 8.0  # seconds; less than the 10 s that a ping waits for its answer


class Watcher:
    """Every state that the engine has shown, and whether it was shown as suspended."""

    def __init__(self, engine: Engine) -> None:
        self.seen: list[tuple[MachineState, bool]] = []
        self._engine = engine
        self._changed = threading.Condition()
        engine.subscribe(lambda _: self._look())

    def _look(self) -> None:
        shown = self._engine.status()
        with self._changed:
            self.seen.append((shown.machine.state, shown.auto_suspended))
            self._changed.notify_all()

    def wait_for(self, *seen: tuple[MachineState, bool]) -> None:
        """Until these were shown in this order, whatever else was in between."""

        def has_seen() -> bool:
            shown = iter(self.seen)
            return all(one in shown for one in seen)

        with self._changed:
            assert self._changed.wait_for(has_seen, PATIENCE), [*map(str, self.seen)]


@pytest.fixture
def backend() -> Sleepy:
    return Sleepy()


@pytest.fixture
def engine(home: Home, backend: Sleepy) -> Iterator[Engine]:
    """It runs, nothing runs in it, and it is suspended after a second or two."""
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


def test_its_first_use_resumes_it(engine: Engine, home: Home, backend: Sleepy) -> None:
    watcher = Watcher(engine)
    watcher.wait_for((MachineState.PAUSED, False), (MachineState.STOPPED, True))
    http.get(lambda: connect(home.docker_socket), "/version")
    assert engine.status().machine.state is MachineState.RUNNING
    assert not engine.status().auto_suspended
    assert backend.boots == 1


def test_a_suspend_that_fails_is_over_at_once(engine: Engine, backend: Sleepy) -> None:
    """The steps that serve the machine again ping dockerd through the bridge, which must not take
    the ping for a client that has to resume the machine."""

    def fail() -> None:
        backend.at_suspend = lambda: None
        raise BackendFailed(Message("", "The disk is full."))

    backend.at_suspend = fail
    watcher = Watcher(engine)
    watcher.wait_for((MachineState.STOPPING, True), (MachineState.RUNNING, False))
    assert engine.status().machine.problem is None
