"""The guest drops its inode cache at each request of the backend, while the machine runs."""

import contextlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from engine.shares.inode_pressure import InodePressure
from vm.backend import Backend
from vm.capabilities import Forget, Lost
from vm.directory import MachineDir
from vm.errors import GalleyError, GuestUnreachable, MachineError
from vm.guest.agent import GuestAgent
from vm.messages import Message
from vm.types import MachineState, Observation

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Scene:
    """Backend and machine in one; records the requests to the guest agent."""

    def __init__(self) -> None:
        self.requests: queue.Queue[bool] = queue.Queue()
        self.waits: queue.Queue[bool] = queue.Queue()
        self.forgot: queue.Queue[str] = queue.Queue()  # thread names
        self.state = MachineState.RUNNING
        self.failure: GalleyError | None = None
        self.guest: Any = self
        self.dial = None
        self.shares_folders = self

    def watch(
        self, directory: MachineDir, ended: threading.Event, forget: Forget, lost: Lost
    ) -> None:
        self.waits.put(True)
        while not ended.is_set():
            with contextlib.suppress(queue.Empty):
                self.requests.get(timeout=0.01)
                forget()
                self.waits.put(True)

    def observe(self, directory: MachineDir) -> Observation:
        return Observation(self.state)

    def run_exclusive(self, work: Callable[[], None]) -> None:
        threading.current_thread().name = "machine worker"
        work()

    def forget(self) -> None:
        self.forgot.put(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure

    def request(self) -> None:
        self.requests.put(True)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()
    monkeypatch.setattr(GuestAgent, "forget", lambda agent: made.forget())
    return made


@pytest.fixture
def inode_pressure(scene: Scene, tmp_path: Path) -> InodePressure:
    directory = MachineDir(tmp_path, tmp_path, tmp_path)
    return InodePressure(directory, cast(Backend, scene))


def nothing_is_lost(number: int) -> None:
    raise AssertionError


def next_of[T](items: "queue.Queue[T]") -> T:
    return items.get(timeout=PATIENCE)


def test_the_cache_is_dropped_at_each_request(inode_pressure: InodePressure, scene: Scene) -> None:
    inode_pressure.begin(cast(Any, scene), nothing_is_lost)
    inode_pressure.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    for failure in (None, GuestUnreachable(Message("", "It does not answer.", "")), None):
        scene.failure = failure
        scene.request()
        assert next_of(scene.forgot) == "machine worker", "the machine cannot be halted meanwhile"
        assert next_of(scene.waits)
    inode_pressure.end()


def test_a_paused_machine_keeps_its_cache(inode_pressure: InodePressure, scene: Scene) -> None:
    """A paused guest cannot answer and would be taken for lost."""
    scene.state = MachineState.PAUSED
    inode_pressure.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    scene.request()
    assert next_of(scene.waits)
    assert scene.forgot.empty()
    inode_pressure.end()


def test_an_agent_that_rejects_the_request_is_not_retried(
    inode_pressure: InodePressure, scene: Scene
) -> None:
    scene.failure = MachineError(Message("", "Unknown request."))
    inode_pressure.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    scene.request()
    assert next_of(scene.forgot)
    scene.request()
    with pytest.raises(queue.Empty):
        scene.forgot.get(timeout=0.3)


def test_the_next_machine_is_watched_right_after_the_last_one_ended(
    inode_pressure: InodePressure, scene: Scene
) -> None:
    inode_pressure.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    inode_pressure.end()
    inode_pressure.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    scene.request()
    assert next_of(scene.forgot)
    assert next_of(scene.waits)
    inode_pressure.end()
