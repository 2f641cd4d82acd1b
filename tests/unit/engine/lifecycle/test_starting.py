"""The start sequence goes back to the image before when dockerd does not answer with a new one."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from engine.guest.recipe import architecture, recipe_hash
from engine.lifecycle.data_guard import DataGuard
from engine.lifecycle.image_updates import ImageUpdates
from engine.lifecycle.starting import StartSequence
from engine.messages.engine import STEP_ANSWER
from engine.settings.store import SettingsStore, machine_spec
from tests import small_image
from tests.small_image import DOCKER, MANIFEST, RUNC
from vm import last_spec
from vm.directory import MachineDir
from vm.errors import BootFailed, Cancelled, DiskFull, EngineFailed, GalleyError
from vm.host.paths import Home, make_home
from vm.lifecycle.steps import boot_step
from vm.messages import Message
from vm.types import MachineSpec, MachineState, Observation, Status

BROKEN = EngineFailed(Message("engine.test", "dockerd does not answer."))


class Parts:
    """What the sequence calls of other parts; records the images and the stops."""

    def __init__(self, home: Home) -> None:
        self.directory = MachineDir.of(home)
        self.suspended = self.resumes_in_vain = False
        self.backend = SimpleNamespace(
            features=SimpleNamespace(image_format="qemu"), suspends=self, observe=self.observe
        )
        self.answered: Callable[[], None] = lambda: None
        self.status = Status(MachineState.STOPPED, backend="qemu")
        self.kept = ()
        self.spec: MachineSpec | None = None
        self.booted: list[str] = []
        self.stops: list[bool] = []
        self.full = False
        self.made: list[str] = []
        self.fails: Callable[[Path], GalleyError | None] = lambda image: None
        self.answers_first = False

    def start(self, prepare: Any, repair: bool = False) -> None:
        spec: MachineSpec = prepare(self, lambda text: None)
        if self.resumes_in_vain:
            spec = prepare(self, lambda text: None)
        self.booted.append(spec.image)
        self.spec = spec
        last_spec.keep(self.directory, spec)
        error = self.fails(Path(spec.image))
        if error is None or self.answers_first:
            self.answered()
        done = boot_step(STEP_ANSWER.text(), None if error and not self.answers_first else 0.1)
        self.status = msgspec.structs.replace(self.status, boot=(done,))
        if error is not None:
            raise error

    restart = start

    def observe(self, directory: MachineDir) -> Observation:
        return Observation(MachineState.RUNNING, spec=self.spec)

    def is_suspended(self, directory: MachineDir) -> bool:
        return self.suspended

    def create_before_boot(self, name: str) -> None:
        if self.full:
            raise DiskFull(Message("disk.test", "There is no room."))
        self.made.append(name)

    def stop(self, *, at_once: bool) -> None:
        self.stops.append(at_once)

    def wait(self, seconds: float) -> None: ...
    def wanted(self) -> tuple[()]:
        return ()

    def write_boot_files(self, image: Path) -> None: ...
    def configure(self) -> None: ...
    def configure_docker_cli(self) -> None: ...
    def clear_suspend(self) -> None: ...


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = make_home(Home(tmp_path / "home", tmp_path / "run"))
    home.images.mkdir(exist_ok=True)
    return home


@pytest.fixture
def parts(home: Home) -> Parts:
    return Parts(home)


@pytest.fixture
def updates(home: Home) -> ImageUpdates:
    return ImageUpdates(home, SettingsStore(home), lambda: None)


@pytest.fixture
def sequence(home: Home, parts: Parts, updates: ImageUpdates) -> StartSequence:
    part, settings = cast(Any, parts), SettingsStore(home)
    made = StartSequence(
        image_updates=updates,
        settings=settings,
        machine=part,
        saver=part,
        folders=part,
        configuring=part,
        snapshots=part,
    )
    parts.answered = made.answered
    return made


def add(home: Home, day: int, engine: str = "26.1.5+dfsg1-9") -> str:
    docker = msgspec.structs.replace(DOCKER, version=engine)
    runc = msgspec.structs.replace(RUNC, sha256=f"{day:02}" * 32)
    manifest = msgspec.structs.replace(
        MANIFEST,
        arch=architecture(),
        recipe=recipe_hash(),
        date=f"2026-11-{day:02}T08:00:00Z",
        packages={"docker.io": docker, "runc": runc},
    )
    return str(small_image.add_to(home.images, manifest))


def test_a_new_image_that_works_is_kept(
    home: Home, parts: Parts, sequence: StartSequence, updates: ImageUpdates
) -> None:
    older = add(home, 1)
    sequence.start()
    newer = add(home, 2)
    sequence.start()
    assert parts.booted == [older, newer]
    assert updates.problems == ()


def test_the_image_before_boots_when_dockerd_does_not_answer_with_a_new_one(
    home: Home, parts: Parts, sequence: StartSequence, updates: ImageUpdates
) -> None:
    older = add(home, 1)
    sequence.start()
    newer = add(home, 2)
    parts.fails = lambda image: BROKEN if str(image) == newer else None
    sequence.start()
    assert parts.booted == [older, newer, older]
    assert parts.stops == [True]
    (problem,) = updates.problems
    assert "dockerd does not answer." in problem.summary
    sequence.start()
    assert parts.booted[3:] == [older]
    sequence.restart()
    assert parts.booted[4:] == [older]


def test_an_image_is_not_to_blame_when_the_one_before_fails_too(
    home: Home, parts: Parts, sequence: StartSequence, updates: ImageUpdates
) -> None:
    older = add(home, 1)
    sequence.start()
    newer = add(home, 2)
    parts.fails = lambda image: BROKEN
    with pytest.raises(EngineFailed, match="does not answer"):
        sequence.start()
    assert parts.booted == [older, newer, older]
    assert updates.problems == ()
    parts.fails = lambda image: None
    sequence.start()
    assert parts.booted[3:] == [newer]


def test_a_machine_that_was_adopted_proves_its_image(
    home: Home, parts: Parts, sequence: StartSequence
) -> None:
    """Its start was another process's. A later start that fails does not go back then."""
    add(home, 1)
    sequence.start()
    newer = add(home, 2)
    parts.spec = machine_spec(SettingsStore(home), newer)
    sequence.answered()
    parts.fails = lambda image: BROKEN
    with pytest.raises(EngineFailed):
        sequence.start()
    assert parts.booted[1:] == [newer]


def test_without_room_for_a_snapshot_the_older_engine_starts(
    home: Home, parts: Parts, sequence: StartSequence, updates: ImageUpdates
) -> None:
    older = add(home, 1)
    sequence.start()
    parts.directory.data_disk.write_bytes(b"data")
    sequence.start()
    newer = add(home, 2, "28.5.1-1")
    parts.full = True
    sequence.start()
    assert parts.booted == [older, older, older]
    (problem,) = updates.images.problems("2026-11-01T08:00:00Z")
    assert problem.code == "image.postponed"
    parts.full = False
    sequence.start()
    assert parts.booted[3:] == [newer]
    assert parts.made == ["before-docker-28"]


@pytest.mark.parametrize("error", [Cancelled(Message("", "Enough.")), BROKEN])
def test_a_start_that_is_cancelled_or_fails_after_the_answer_does_not_go_back(
    home: Home, parts: Parts, sequence: StartSequence, error: GalleyError
) -> None:
    add(home, 1)
    sequence.start()
    newer = add(home, 2)
    parts.answers_first = True
    parts.fails = lambda image: error
    with pytest.raises(type(error)):
        sequence.start()
    assert parts.booted[1:] == [newer]


def test_an_image_that_has_worked_once_is_not_left(
    home: Home, parts: Parts, sequence: StartSequence
) -> None:
    add(home, 1)
    sequence.start()
    newer = add(home, 2)
    sequence.start()
    parts.fails = lambda image: BootFailed(Message("", "The disk is damaged."))
    with pytest.raises(BootFailed):
        sequence.start()
    assert parts.booted[2:] == [newer]


def test_a_suspended_machine_resumes_with_its_image(
    home: Home, parts: Parts, sequence: StartSequence
) -> None:
    older = add(home, 1)
    sequence.start()
    newer = add(home, 2)
    parts.suspended = True
    sequence.start()
    sequence.start(repair=True)
    sequence.restart()
    assert parts.booted == [older, older, newer, newer]


def test_the_cold_start_after_a_resume_in_vain_uses_the_newest_image(
    home: Home, parts: Parts, sequence: StartSequence
) -> None:
    older = add(home, 1)
    sequence.start()
    newer = add(home, 2)
    parts.suspended = parts.resumes_in_vain = True
    sequence.start()
    assert parts.booted == [older, newer]


def test_a_full_disk_at_the_answer_does_not_end_the_start(
    home: Home, parts: Parts, sequence: StartSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home, 1)

    def full(guard: DataGuard, version: str) -> None:
        raise DiskFull(Message("disk.test", "There is no room."))

    monkeypatch.setattr(DataGuard, "answered", full)
    sequence.start()
    assert not home.image_choice.exists()  # the next start records both


def test_a_backend_without_images_starts_without_one(parts: Parts, sequence: StartSequence) -> None:
    parts.backend.features.image_format = "none"
    sequence.start()
    assert parts.booted == [""]


def test_progress_of_the_image_can_be_cancelled(
    home: Home, parts: Parts, sequence: StartSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an image has to be built, its progress reaches the step, which may end it."""
    damaged = add(home, 1)
    (Path(damaged) / "vmlinux").unlink()

    def enough(seconds: float) -> None:
        raise Cancelled(Message("", "Enough."))

    monkeypatch.setattr(parts, "wait", enough)
    with pytest.raises(Cancelled):
        sequence.start()
    assert parts.booted == []
