"""The guest is asked to forget as often as it knows too much, while it runs, and until its end."""

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
    """The backend and the machine in one, and what its guest was asked."""

    def __init__(self) -> None:
        self.crowded: queue.Queue[bool] = queue.Queue()
        self.waits: queue.Queue[bool] = queue.Queue()
        self.forgot: queue.Queue[str] = queue.Queue()  # by whom
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
                self.crowded.get(timeout=0.01)
                forget()
                self.waits.put(True)

    def observe(self, directory: MachineDir) -> Observation:
        return Observation(self.state)

    def run_exclusive(self, work: Callable[[], None]) -> None:
        threading.current_thread().name = "of the machine"
        work()

    def forget(self) -> None:
        self.forgot.put(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure

    def crowd(self) -> None:
        self.crowded.put(True)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()
    monkeypatch.setattr(GuestAgent, "forget", lambda agent: made.forget())
    return made


@pytest.fixture
def files(scene: Scene, tmp_path: Path) -> InodePressure:
    directory = MachineDir(tmp_path, tmp_path, tmp_path)
    return InodePressure(directory, cast(Backend, scene))


def nothing_is_lost(number: int) -> None:
    raise AssertionError


def next_of[T](told: "queue.Queue[T]") -> T:
    return told.get(timeout=PATIENCE)


def test_the_cache_is_dropped_at_each_request(files: InodePressure, scene: Scene) -> None:
    files.begin(cast(Any, scene), nothing_is_lost)
    files.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    for failure in (None, GuestUnreachable(Message("", "It does not answer.", "")), None):
        scene.failure = failure
        scene.crowd()
        assert next_of(scene.forgot) == "of the machine", "nobody may halt it meanwhile"
        assert next_of(scene.waits)
    files.end()


def test_a_paused_machine_keeps_its_cache(files: InodePressure, scene: Scene) -> None:
    """It would not hear, and whoever asks would take it for lost."""
    scene.state = MachineState.PAUSED
    files.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    scene.crowd()
    assert next_of(scene.waits)
    assert scene.forgot.empty()
    files.end()


def test_an_agent_that_cannot_is_not_asked_again(files: InodePressure, scene: Scene) -> None:
    scene.failure = MachineError(Message("", "It knows no such request."))
    files.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    scene.crowd()
    assert next_of(scene.forgot)
    scene.crowd()
    with pytest.raises(queue.Empty):
        scene.forgot.get(timeout=0.3)


def test_the_next_machine_is_looked_after_though_the_last_has_hardly_ended(
    files: InodePressure, scene: Scene
) -> None:
    files.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    files.end()
    files.begin(cast(Any, scene), nothing_is_lost)
    assert next_of(scene.waits)
    scene.crowd()
    assert next_of(scene.forgot)
    assert next_of(scene.waits)
    files.end()
