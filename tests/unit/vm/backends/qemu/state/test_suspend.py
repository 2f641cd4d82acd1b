"""What was suspended, kept with a copy of its data disk: it counts with that disk and no other."""

from pathlib import Path

import pytest

from vm import in_use
from vm.backends.qemu.resume_compat import FORMAT, Circumstances
from vm.backends.qemu.state import saved as state
from vm.backends.qemu.state import suspend
from vm.directory import MachineDir
from vm.errors import Cancelled
from vm.host import file_identity, sparse

THEN = Circumstances(FORMAT, "qemu 1 2", "tcg", "", "image", 8 << 30, "arguments")


def quietly(done: int, total: int) -> None: ...


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    """A machine that is suspended."""
    made = MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")
    made.suspended.mkdir(parents=True)
    for name in (state.STATE, state.RAM, state.CONSOLE):
        (made.suspended / name).write_text(name)
    made.data_disk.write_text("disk")
    suspend._make_valid(made, THEN)
    return made


@pytest.fixture
def kept(directory: MachineDir) -> tuple[Path, Path]:
    """A copy of the disk, and what is suspended beside it."""
    disk, folder = directory.root / "copy", directory.root / "kept"
    sparse.duplicate(directory.data_disk, disk, quietly)
    assert suspend.keep(directory, disk, folder, quietly)
    return disk, folder


def exchange(directory: MachineDir, disk: Path) -> None:
    new = directory.root / "new"
    sparse.duplicate(disk, new, quietly)
    new.replace(directory.data_disk)


def counts(directory: MachineDir) -> bool:
    return suspend._counting(directory.suspended, directory.data_disk) is not None


def test_there_and_back(directory: MachineDir, kept: tuple[Path, Path]) -> None:
    assert counts(directory), "keeping it changes nothing"
    suspend.forget(directory)
    directory.data_disk.write_text("another")
    for _ in range(2):
        exchange(directory, kept[0])
        assert suspend.put_back(directory, *kept, quietly)
        assert counts(directory)
        assert (directory.suspended / state.RAM).read_text() == state.RAM
        saved = suspend._counting(directory.suspended, directory.data_disk)
        assert saved is not None
        assert saved.circumstances == THEN


def test_what_containers_had_is_kept_with_it(directory: MachineDir, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    in_use.keep(directory, [str(used)])
    suspend._make_valid(directory, THEN)
    disk, folder = directory.root / "copy", directory.root / "kept"
    sparse.duplicate(directory.data_disk, disk, quietly)
    assert suspend.keep(directory, disk, folder, quietly)
    exchange(directory, disk)
    assert suspend.put_back(directory, disk, folder, quietly)
    saved = suspend._counting(directory.suspended, directory.data_disk)
    assert saved is not None
    assert saved.in_use == {str(used): file_identity.at(str(used))}


def test_with_a_disk_that_came_after_it_counts_no_more(
    directory: MachineDir, kept: tuple[Path, Path]
) -> None:
    exchange(directory, kept[0])
    assert not counts(directory)
    assert not suspend.keep(directory, kept[0], directory.root / "second", quietly)
    assert not (directory.root / "second").exists()


@pytest.mark.parametrize("name", [state.STATE, state.RAM, state.CONSOLE, suspend.MANIFEST])
def test_what_was_touched_is_not_put_back(
    directory: MachineDir, kept: tuple[Path, Path], name: str
) -> None:
    (kept[1] / name).write_text("other")
    exchange(directory, kept[0])
    assert not suspend.put_back(directory, *kept, quietly)
    assert not counts(directory)


def test_nor_what_belongs_to_a_disk_that_was_touched(
    directory: MachineDir, kept: tuple[Path, Path]
) -> None:
    kept[0].touch()
    exchange(directory, kept[0])
    assert not suspend.put_back(directory, *kept, quietly)


def test_a_copy_that_is_cut_short_does_not_count(
    directory: MachineDir, kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(directory, kept[0])
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)

    def enough(done: int, total: int) -> None:
        raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        suspend.put_back(directory, *kept, enough)
    assert not counts(directory)
    assert not suspend.is_there(directory)
