"""A suspended state, copied with its data disk, is valid with that disk and no other."""

from pathlib import Path

import pytest

from vm import in_use
from vm.backends.qemu.resume_compat import FORMAT, ResumeCompat
from vm.backends.qemu.state import saved, suspend
from vm.directory import MachineDir
from vm.errors import Cancelled
from vm.host import file_identity, sparse
from vm.messages import Message

THEN = ResumeCompat(FORMAT, "qemu 1 2", "tcg", "", "image", 8 << 30, "arguments")


def no_report(done: int, total: int) -> None: ...


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    """A machine that is suspended."""
    made = MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")
    made.suspended.mkdir(parents=True)
    for name in (saved.STATE, saved.RAM, saved.CONSOLE):
        (made.suspended / name).write_text(name)
    made.data_disk.write_text("disk")
    suspend._commit(made, THEN)
    return made


@pytest.fixture
def copied(directory: MachineDir) -> tuple[Path, Path]:
    """A copy of the disk, and of the state that was suspended with it."""
    disk, folder = directory.root / "copy", directory.root / "copied"
    sparse.duplicate(directory.data_disk, disk, no_report)
    assert suspend.copy_to(directory, disk, folder, no_report)
    return disk, folder


def replace_disk(directory: MachineDir, disk: Path) -> None:
    new = directory.root / "new"
    sparse.duplicate(disk, new, no_report)
    new.replace(directory.data_disk)


def is_valid(directory: MachineDir) -> bool:
    return suspend._load_valid(directory.suspended, directory.data_disk) is not None


def test_a_copy_can_be_restored_more_than_once(
    directory: MachineDir, copied: tuple[Path, Path]
) -> None:
    assert is_valid(directory), "copying leaves the original valid"
    suspend.forget(directory)
    directory.data_disk.write_text("another")
    for _ in range(2):
        replace_disk(directory, copied[0])
        assert suspend.restore_from(directory, *copied, no_report)
        assert is_valid(directory)
        assert (directory.suspended / saved.RAM).read_text() == saved.RAM
        manifest = suspend._load_valid(directory.suspended, directory.data_disk)
        assert manifest is not None
        assert manifest.compat == THEN


def test_the_paths_in_use_are_copied_too(directory: MachineDir, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    in_use.keep(directory, [str(used)])
    suspend._commit(directory, THEN)
    disk, folder = directory.root / "copy", directory.root / "copied"
    sparse.duplicate(directory.data_disk, disk, no_report)
    assert suspend.copy_to(directory, disk, folder, no_report)
    replace_disk(directory, disk)
    assert suspend.restore_from(directory, disk, folder, no_report)
    manifest = suspend._load_valid(directory.suspended, directory.data_disk)
    assert manifest is not None
    assert manifest.in_use == {str(used): file_identity.at(str(used))}


def test_a_state_is_invalid_with_a_replaced_disk(
    directory: MachineDir, copied: tuple[Path, Path]
) -> None:
    replace_disk(directory, copied[0])
    assert not is_valid(directory)
    assert not suspend.copy_to(directory, copied[0], directory.root / "second", no_report)
    assert not (directory.root / "second").exists()


@pytest.mark.parametrize("name", [saved.STATE, saved.RAM, saved.CONSOLE, suspend.MANIFEST])
def test_a_state_with_a_changed_file_is_not_restored(
    directory: MachineDir, copied: tuple[Path, Path], name: str
) -> None:
    (copied[1] / name).write_text("other")
    replace_disk(directory, copied[0])
    assert not suspend.restore_from(directory, *copied, no_report)
    assert not is_valid(directory)


def test_a_state_whose_disk_has_changed_is_not_restored(
    directory: MachineDir, copied: tuple[Path, Path]
) -> None:
    copied[0].touch()
    replace_disk(directory, copied[0])
    assert not suspend.restore_from(directory, *copied, no_report)


def test_an_interrupted_copy_is_invalid(
    directory: MachineDir, copied: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_disk(directory, copied[0])
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)

    def cancel(done: int, total: int) -> None:
        raise Cancelled(Message("", "Enough."))

    with pytest.raises(Cancelled):
        suspend.restore_from(directory, *copied, cancel)
    assert not is_valid(directory)
    assert not suspend.exists(directory)
