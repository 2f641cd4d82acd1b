"""An older dockerd never gets data that a newer one has opened."""

from pathlib import Path
from typing import Any, cast

import pytest

from engine.lifecycle.data_guard import DataGuard, major
from vm.directory import MachineDir
from vm.errors import DiskFull, EngineFailed
from vm.messages import Message


class Kept:
    def __init__(self, name: str) -> None:
        self.name = name


class Snapshots:
    """Records what is asked for. A restore brings engine.json back, as on the disk."""

    def __init__(self, directory: MachineDir) -> None:
        self.directory = directory
        self.kept: tuple[Kept, ...] = ()
        self.files: dict[str, bytes] = {}
        self.restored: list[str] = []
        self.full = False

    def create_before_boot(self, name: str) -> None:
        if self.full:
            raise DiskFull(Message("", "full"))
        self.kept = (*self.kept, Kept(name))
        self.files[name] = self.directory.engine.read_bytes()

    def restore_before_boot(self, name: str) -> None:
        self.restored.append(name)
        self.directory.engine.write_bytes(self.files[name])

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.kept]


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    directory = MachineDir(tmp_path, tmp_path, tmp_path)
    directory.data_disk.write_bytes(b"data")
    return directory


@pytest.fixture
def snapshots(directory: MachineDir) -> Snapshots:
    return Snapshots(directory)


@pytest.fixture
def guard(directory: MachineDir, snapshots: Snapshots) -> DataGuard:
    return DataGuard(directory, cast(Any, snapshots))


def use(guard: DataGuard, version: str) -> None:
    guard.before_boot(version)
    guard.answered(version)


def test_a_snapshot_precedes_a_newer_major_version(guard: DataGuard, snapshots: Snapshots) -> None:
    use(guard, "26.1.5+dfsg1")
    use(guard, "26.1.6+dfsg1")
    assert snapshots.names == []
    use(guard, "28.5.1+dfsg2")
    use(guard, "28.5.2+dfsg1")
    assert snapshots.names == ["before-docker-28"]


def test_an_older_major_version_is_refused(guard: DataGuard, snapshots: Snapshots) -> None:
    use(guard, "26.1.5")
    use(guard, "28.5.1")
    assert guard.fits("28.0.0")
    assert not guard.fits("26.1.5")
    with pytest.raises(EngineFailed, match=r"28\.5\.1.*26\.1\.5") as caught:
        guard.before_boot("26.1.5")
    assert "galley snapshot restore before-docker-28" in caught.value.hint
    assert snapshots.restored == []  # it has answered: only the user may go back
    guard.before_boot("28.4.0")  # an older minor version reads the same data


def test_the_data_goes_back_if_the_newer_version_never_answered(
    guard: DataGuard, snapshots: Snapshots
) -> None:
    use(guard, "26.1.5")
    guard.before_boot("28.5.1")
    use(guard, "26.1.5")
    assert snapshots.restored == ["before-docker-28"]
    use(guard, "26.1.5")
    assert snapshots.restored == ["before-docker-28"]


def test_data_of_a_version_that_has_answered_is_never_opened_by_an_older_one(
    guard: DataGuard, snapshots: Snapshots
) -> None:
    """Although a still newer one was tried, and never answered."""
    use(guard, "26.1.5")
    use(guard, "28.5.1")
    guard.before_boot("29.0.0")
    with pytest.raises(EngineFailed):
        guard.before_boot("26.1.5")
    assert snapshots.restored == []
    use(guard, "28.5.2")
    assert snapshots.restored == ["before-docker-29"]
    with pytest.raises(EngineFailed):
        guard.before_boot("26.1.5")


def test_the_data_goes_back_past_all_versions_that_never_answered(
    guard: DataGuard, snapshots: Snapshots
) -> None:
    use(guard, "26.1.5")
    guard.before_boot("28.5.1")
    guard.before_boot("29.0.0")
    use(guard, "26.1.5")
    assert snapshots.restored == ["before-docker-29", "before-docker-28"]


def test_another_snapshot_of_the_same_name_does_not_help(
    guard: DataGuard, snapshots: Snapshots, directory: MachineDir
) -> None:
    use(guard, "26.1.5")
    guard.before_boot("28.5.1")
    snapshots.files["before-docker-28"] = directory.engine.read_bytes()
    with pytest.raises(EngineFailed):
        guard.before_boot("26.1.5")


def test_without_its_snapshot_the_data_cannot_go_back(
    guard: DataGuard, snapshots: Snapshots
) -> None:
    use(guard, "26.1.5")
    guard.before_boot("28.5.1")
    snapshots.kept = ()
    with pytest.raises(EngineFailed):
        guard.before_boot("26.1.5")
    assert snapshots.restored == []


def test_a_second_attempt_has_a_snapshot_of_its_own(guard: DataGuard, snapshots: Snapshots) -> None:
    """The first is of older data."""
    use(guard, "26.1.5")
    guard.before_boot("28.5.1")
    use(guard, "26.1.5")
    guard.before_boot("28.5.2")
    assert snapshots.names == ["before-docker-28", "before-docker-28-2"]
    use(guard, "26.1.5")
    assert snapshots.restored == ["before-docker-28", "before-docker-28-2"]


def test_another_start_of_the_version_that_failed_takes_no_snapshot(
    guard: DataGuard, snapshots: Snapshots
) -> None:
    use(guard, "26.1.5")
    guard.before_boot("28.5.1")
    guard.before_boot("28.5.1")
    assert snapshots.names == ["before-docker-28"]
    use(guard, "26.1.5")
    assert snapshots.restored == ["before-docker-28"]


def test_without_room_for_the_snapshot_the_data_stays_untouched(
    guard: DataGuard, snapshots: Snapshots
) -> None:
    use(guard, "26.1.5")
    snapshots.full = True
    with pytest.raises(DiskFull):
        guard.before_boot("28.5.1")
    use(guard, "26.1.5")


@pytest.mark.parametrize("state", ["no disk", "not formatted", "no record", "damaged record"])
def test_data_of_an_unknown_version_is_opened_without_a_snapshot(
    directory: MachineDir, guard: DataGuard, snapshots: Snapshots, state: str
) -> None:
    directory.engine.write_text('{"version": "28.5.1", "answered": "28.5.1"}')
    if state == "no disk":
        directory.data_disk.unlink()
    elif state == "not formatted":
        directory.data_is_new.touch()
    elif state == "no record":
        directory.engine.unlink()
    else:
        directory.engine.write_text("{")
    use(guard, "26.1.5")
    assert snapshots.names == []


@pytest.mark.parametrize(
    ("version", "number"), [("28.5.1+dfsg2", 28), ("26", 26), ("", 0), ("x.1", 0), ("²6.1", 0)]
)
def test_the_major_version(version: str, number: int) -> None:
    assert major(version) == number
