"""Creating and restoring a snapshot is atomic, also when the process is killed."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from vm.directory import MachineDir
from vm.errors import Cancelled, DiskFull, HomeUnusable, NoMachine, SnapshotRefused
from vm.host import sparse
from vm.lifecycle import snapshots
from vm.messages import Message
from vm.types import MachineSpec

ROOT = Path(__file__).parents[4]
KEY = "ssh-ed25519 AAAAsnapshot"
INVALID = [
    *("", ".", "..", ".one", "-one", "a/b", "a\\b", "a b", "a\n", "ä", "x" * 64),
    *("con", "NUL", "com1.old", "one."),
]
# Ends the process in the middle of a call, as kill -9 does: nothing is cleaned up.
KILLED = """
import os, sys
from pathlib import Path
from vm.lifecycle import snapshots
from vm.directory import MachineDir
from vm.host import sparse

directory, verb, owner, name, when = MachineDir(*map(Path, sys.argv[1:4])), *sys.argv[4:]
owner = {"snapshots": snapshots, "sparse": sparse, "os": os}[owner]
real = getattr(owner, name)
word, _, times = when.partition(" ")
left = list(range(int(times or 1) - 1))  # calls before the one that ends the process

def die(*arguments, **named):
    if left:
        left.pop()
        return real(*arguments, **named)
    if word == "after":
        real(*arguments, **named)
    os._exit(9)

setattr(owner, name, die)
fill = lambda target: (sparse.copy(directory.data_disk, target, lambda *_: None), True)[1]
if verb == "create":
    snapshots.create(directory, "new", fill)
else:
    snapshots.restore(directory, "old", lambda *_: None)
"""


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    """A machine that has run; its disk contains "first"."""
    made = MachineDir(tmp_path / "machine", tmp_path / "logs", tmp_path / "run")
    for folder in (made.root, made.logs, made.run):
        folder.mkdir()
    made.uuid.write_text("00000000-0000-4000-8000-000000000001")
    made.known_host.write_text(KEY + "\n")
    spec = MachineSpec(cpus=2, memory_bytes=1 << 30, disk_bytes=8 << 30, image="/images/stable-x")
    made.spec.write_bytes(msgspec.json.encode(spec))
    write(made, "first")
    return made


def write(directory: MachineDir, what: str) -> None:
    with directory.data_disk.open("wb") as disk:
        disk.write(what.encode())
        disk.truncate(64 << 20)


def read(file: Path) -> str:
    content = file.read_bytes()
    assert len(content) == 64 << 20
    return content.rstrip(b"\0").decode()


def test_snapshots_are_private_to_the_user(directory: MachineDir) -> None:
    directory.snapshots.mkdir(mode=0o755)  # as an older Galley made it
    directory.data_disk.chmod(0o644)
    snapshots.create(directory, "one", fill(directory))
    folder = directory.snapshots / "one"
    for place in (directory.snapshots, folder):
        assert place.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    snapshots.restore(directory, "one", lambda *_: None)
    assert directory.data_disk.stat().st_mode & 0o777 == 0o600


def fill(directory: MachineDir) -> snapshots.Fill:
    def copy(target: Path) -> bool:
        sparse.duplicate(directory.data_disk, target, lambda done, total: None)
        return True

    return copy


def create(directory: MachineDir, name: str) -> None:
    snapshots.create(directory, name, fill(directory))


def restore(directory: MachineDir, name: str) -> None:
    snapshots.restore(directory, name, lambda done, total: None)


def names(directory: MachineDir) -> list[str]:
    return [one.name for one in snapshots.every(directory)]


def kill_during(directory: MachineDir, verb: str, owner: str, name: str, when: str) -> None:
    folders = [str(each) for each in (directory.root, directory.logs, directory.run)]
    command = [sys.executable, "-c", KILLED, *folders, verb, owner, name, when]
    assert subprocess.run(command, cwd=ROOT).returncode == 9


def test_snapshots_are_created_listed_restored_and_deleted(directory: MachineDir) -> None:
    create(directory, "one")
    write(directory, "second")
    create(directory, "two")
    assert names(directory) == ["one", "two"]
    found = snapshots.find(directory, "one")
    assert (found.disk_bytes, found.settled, found.image) == (64 << 20, True, "stable-x")
    assert (found.uuid, found.host_key) == (directory.uuid.read_text(), KEY)
    assert 0 < found.used_bytes < 1 << 20
    restore(directory, "one")
    assert read(directory.data_disk) == "first"
    restore(directory, "two")
    assert read(directory.data_disk) == "second"
    snapshots.delete(directory, "one")
    assert names(directory) == ["two"]
    assert not (directory.snapshots / "one").exists()
    snapshots.delete_all(directory)
    assert list(directory.snapshots.iterdir()) == []


def test_a_restore_drops_the_state_of_the_replaced_disk(directory: MachineDir) -> None:
    create(directory, "one")
    directory.suspended.mkdir()
    (directory.suspended / "manifest.json").write_text("{}")
    (directory.suspended / "state").write_text("memory")
    directory.known_host.write_text("ssh-ed25519 AAAAanother\n")
    directory.data_is_new.touch()
    restore(directory, "one")
    assert not directory.suspended.exists()
    assert directory.known_host.read_text() == KEY + "\n"
    assert not directory.spec.exists()  # without it, the guest grows its file system
    assert not directory.data_is_new.exists()
    assert not directory.data_restored.exists()


def test_the_containers_to_start_are_restored_with_the_disk(directory: MachineDir) -> None:
    create(directory, "running")
    directory.to_start.write_text('["web"]')
    create(directory, "stopped")
    directory.to_start.write_text('["database"]')
    restore(directory, "stopped")
    assert directory.to_start.read_text() == '["web"]'
    restore(directory, "running")
    assert not directory.to_start.exists()


def test_a_restore_recreates_a_missing_disk(directory: MachineDir) -> None:
    create(directory, "one")
    directory.data_disk.unlink()
    restore(directory, "one")
    assert read(directory.data_disk) == "first"


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_name_is_refused(directory: MachineDir, name: str) -> None:
    with pytest.raises(SnapshotRefused, match="cannot be named") as caught:
        create(directory, name)
    assert caught.value.hint
    assert names(directory) == []


@pytest.mark.parametrize("name", ["1", "before-update", "v1.2_3", "x" * 63, "console"])
def test_a_valid_name_is_accepted(directory: MachineDir, name: str) -> None:
    create(directory, name)
    assert names(directory) == [name]


def test_names_are_unique_regardless_of_case(directory: MachineDir) -> None:
    create(directory, "One")
    for name in ("One", "one"):
        with pytest.raises(SnapshotRefused, match="already"):
            create(directory, name)


def test_an_unknown_name_is_refused_with_a_list_of_the_others(directory: MachineDir) -> None:
    create(directory, "one")
    for verb in (snapshots.delete, snapshots.check_restore, restore):
        with pytest.raises(SnapshotRefused) as caught:
            verb(directory, "two")
        assert "one" in caught.value.hint


def test_a_machine_that_never_booted_has_no_snapshots(directory: MachineDir) -> None:
    directory.data_is_new.touch()
    with pytest.raises(NoMachine):
        create(directory, "one")
    directory.data_is_new.unlink()
    directory.data_disk.unlink()
    with pytest.raises(NoMachine):
        create(directory, "one")


@pytest.mark.parametrize(
    "error", [Cancelled(Message("", "Enough.")), OSError(28, "No space"), OSError(5, "IO")]
)
def test_a_failed_copy_leaves_no_snapshot(directory: MachineDir, error: Exception) -> None:
    def copy(target: Path) -> bool:
        target.write_text("half")
        raise error

    with pytest.raises((Cancelled, DiskFull, HomeUnusable)):
        snapshots.create(directory, "one", copy)
    assert list(directory.snapshots.iterdir()) == []
    create(directory, "one")


def test_a_cancelled_restore_leaves_the_machine_as_it_was(
    directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(directory, "one")
    write(directory, "second")
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)

    def cancel(done: int, total: int) -> None:
        raise Cancelled(Message("", "Enough."))

    with pytest.raises(Cancelled):
        snapshots.restore(directory, "one", cancel)
    assert read(directory.data_disk) == "second"
    assert directory.known_host.exists()
    assert directory.spec.exists()
    assert not directory.data_restored.exists()


@pytest.mark.parametrize("step", ["write_atomic", "_forget_old_disk", "_put_in_place"])
def test_a_restore_that_fails_on_a_full_disk_leaves_no_copy(
    directory: MachineDir, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Nor a list of containers to start, which the next restore would take for the disk's."""
    directory.to_start.write_text('["web"]')
    create(directory, "one")
    write(directory, "second")
    directory.to_start.write_text('["database"]')

    def fail(*_: object) -> None:
        raise OSError(28, "No space")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, step, fail)
        with pytest.raises(DiskFull):
            restore(directory, "one")
    assert not directory.data_restored.exists()
    assert not directory.to_start_restored.exists()
    assert read(directory.data_disk) == "second"
    assert directory.to_start.read_text() == '["database"]'
    restore(directory, "one")
    assert directory.to_start.read_text() == '["web"]'


def test_a_cancelled_restore_ignores_the_files_of_a_killed_one(
    directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed restore left its copy and its list of containers to start; neither is used."""
    directory.to_start.write_text('["web"]')
    create(directory, "old")
    write(directory, "second")
    directory.to_start.write_text('["database"]')
    kill_during(directory, "restore", "snapshots", "_forget_old_disk", "before")
    assert directory.to_start_restored.exists()

    def cancel(*_: object) -> None:
        raise Cancelled(Message("", "Enough."))

    monkeypatch.setattr(sparse, "duplicate", cancel)
    with pytest.raises(Cancelled):
        restore(directory, "old")
    snapshots.sweep(directory)
    assert directory.to_start.read_text() == '["database"]'
    assert read(directory.data_disk) == "second"


@pytest.mark.parametrize(
    ("owner", "name", "when"),
    [
        ("sparse", "_move", "before"),
        ("sparse", "copy", "after"),
        ("snapshots", "sync_directory", "before"),
        ("snapshots", "write_atomic", "before"),
        ("os", "replace", "before"),
    ],
)
def test_a_killed_create_leaves_no_snapshot(
    directory: MachineDir, owner: str, name: str, when: str
) -> None:
    kill_during(directory, "create", owner, name, when)
    assert names(directory) == []
    assert snapshots.sweep(directory)
    assert list(directory.snapshots.iterdir()) == []
    create(directory, "new")
    assert read(directory.data_disk) == "first"


@pytest.mark.parametrize(
    ("owner", "name", "when", "content"),
    [
        ("sparse", "duplicate", "before", "second"),
        ("sparse", "duplicate", "after", "second"),
        ("snapshots", "_forget_old_disk", "after", "second"),
        ("snapshots", "write_atomic", "before", "second"),
        ("snapshots", "write_atomic", "after", "second"),
        ("snapshots", "write_atomic", "before 2", "second"),
        ("snapshots", "write_atomic", "before 3", "first"),
        ("snapshots", "_put_in_place", "before", "second"),
        ("snapshots", "_put_in_place", "after", "first"),
        ("snapshots", "_move_companions", "after 2", "first"),  # the first is in `sweep`
    ],
)
@pytest.mark.parametrize("to_start", ['["web"]', ""])
def test_a_killed_restore_leaves_the_old_or_the_new_disk(
    directory: MachineDir, owner: str, name: str, when: str, content: str, to_start: str
) -> None:
    """The disk is complete, and the containers to start and the version of dockerd are those of
    that disk. Without a pinned host key, the next boot pins the one of that disk."""
    if to_start:
        directory.to_start.write_text(to_start)
    directory.engine.write_text("26")
    create(directory, "old")
    write(directory, "second")
    directory.to_start.write_text('["database"]')
    directory.engine.write_text("28")
    kill_during(directory, "restore", owner, name, when)
    assert read(directory.data_disk) == content
    assert not directory.known_host.exists() or directory.known_host.read_text() == KEY + "\n"
    snapshots.sweep(directory)
    assert not directory.data_restored.exists()
    assert not directory.to_start_restored.exists()
    expected = '["database"]' if content == "second" else to_start
    assert directory.to_start.exists() == bool(expected)
    assert not expected or directory.to_start.read_text() == expected
    assert directory.engine.read_text() == ("28" if content == "second" else "26")
    assert names(directory) == ["old"]
    restore(directory, "old")
    assert read(directory.data_disk) == "first"
    assert directory.to_start.exists() == bool(to_start)
    assert directory.engine.read_text() == "26"
    assert not directory.to_start_restored.exists()
    assert not directory.engine_restored.exists()


def test_a_power_cut_after_a_create_leaves_the_snapshot_complete(
    directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of the snapshot is synced to the disk."""
    synced: set[int] = set()
    really = os.fsync

    def fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    directory.to_start.write_text('["web"]')
    create(directory, "one")
    folder = directory.snapshots / "one"
    assert directory.snapshot_to_start("one") in list(folder.iterdir())
    assert {file.stat().st_ino for file in (folder, *folder.iterdir())} <= synced


def test_a_damaged_or_moved_manifest_is_ignored(directory: MachineDir) -> None:
    create(directory, "one")
    create(directory, "two")
    directory.snapshot_manifest("one").write_text("{")
    (directory.snapshots / "two").rename(directory.snapshots / "three")
    assert names(directory) == []
    snapshots.sweep(directory)
    assert directory.snapshot_disk("three").exists(), "sweep keeps folders that it does not know"
