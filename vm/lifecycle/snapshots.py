"""Snapshots of a machine on disk: their names and manifests; an incomplete one is never listed.

machine/snapshots/NAME/   data.img, and last manifest.json, without which it is incomplete

The caller prevents transitions of the machine meanwhile. Next: `vm.capabilities.CopiesDisk` (copies
a disk, also of a running machine), `engine/lifecycle/snapshots.py` (the caller).
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from vm import last_spec
from vm.directory import MachineDir
from vm.errors import NoMachine, SnapshotRefused
from vm.host import sparse
from vm.host.paths import sync_directory, unusable, write_atomic
from vm.host.sparse import Report
from vm.messages.machine import (
    SNAPSHOT_BAD_NAME,
    SNAPSHOT_EXISTS,
    SNAPSHOT_MISSING,
    SNAPSHOT_MISSING_ANY,
    SNAPSHOT_NOTHING,
)
from vm.types import MachineSnapshot

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# Reserved by Windows, with any extension: a home may be moved there.
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*\.", re.IGNORECASE)


class Companion(msgspec.Struct, frozen=True):
    """A small file that belongs to the data disk: the machine's, the one that a restore prepares,
    and the snapshot's."""

    current: Path
    restored: Path
    kept: Path


type Fill = Callable[[Path], bool]  # copies the data disk; True: its file system was frozen


def check_name(name: str) -> None:
    """Raises SnapshotRefused."""
    if not NAME.fullmatch(name) or DEVICES.fullmatch(name):
        raise SnapshotRefused(
            SNAPSHOT_BAD_NAME,
            name=name,
        )


def every(directory: MachineDir) -> tuple[MachineSnapshot, ...]:
    """The complete and readable ones, oldest first."""
    found = (_read(directory, name) for name in _folders(directory))
    return tuple(sorted(filter(None, found), key=lambda one: (one.made_at, one.name)))


def find(directory: MachineDir, name: str) -> MachineSnapshot:
    """Raises SnapshotRefused."""
    for one in every(directory):
        if one.name == name:
            return one
    names = ", ".join(one.name for one in every(directory))
    raise SnapshotRefused(
        SNAPSHOT_MISSING if names else SNAPSHOT_MISSING_ANY, name=name, names=names
    )


def check_new(directory: MachineDir, name: str) -> None:
    """Before any work for it. Raises SnapshotRefused, NoMachine."""
    check_name(name)
    if any(one.name.casefold() == name.casefold() for one in every(directory)):
        raise SnapshotRefused(SNAPSHOT_EXISTS, name=name)
    if not directory.data_disk.exists() or directory.data_is_new.exists():
        raise NoMachine(SNAPSHOT_NOTHING)


def create(directory: MachineDir, name: str, fill: Fill) -> MachineSnapshot:
    """Create a snapshot. Raises SnapshotRefused, NoMachine, DiskFull, HomeUnusable and what `fill`
    raises; then nothing of it is left."""
    check_new(directory, name)
    folder = directory.snapshots / name
    sweep(directory)
    try:
        directory.snapshots.mkdir(mode=0o700, exist_ok=True)
        directory.snapshots.chmod(0o700)  # older versions did not
        folder.mkdir(mode=0o700)
        settled = fill(directory.snapshot_disk(name))
        for one in _companions(directory, name):
            if one.current.exists():
                write_atomic(one.kept, one.current.read_bytes())
        made = _described(directory, name, settled)
        sync_directory(folder)
        write_atomic(directory.snapshot_manifest(name), msgspec.json.encode(made))
        sync_directory(directory.snapshots)
        sync_directory(directory.root)
    except OSError as error:
        _remove(folder)
        raise unusable(directory.root, error) from error
    except BaseException:
        _remove(folder)
        raise
    return made


def check_restore(directory: MachineDir, name: str) -> None:
    """Before the machine is stopped for it. Raises SnapshotRefused, DiskFull, HomeUnusable."""
    find(directory, name)
    try:
        if not sparse.clones(directory.root):
            sparse.check_room(directory.root, sparse.allocated(directory.snapshot_disk(name)))
    except OSError as error:
        raise unusable(directory.root, error) from error


def restore(directory: MachineDir, name: str, report: Report) -> None:
    """Replace the data disk of the stopped machine by the snapshot's. Raises SnapshotRefused,
    DiskFull, HomeUnusable and what `report` raises; the machine is unchanged then."""
    wanted = find(directory, name)
    sweep(directory)
    try:
        sparse.duplicate(directory.snapshot_disk(name), directory.data_restored, report)
        for one in _companions(directory, name):
            content = one.kept.read_bytes() if one.kept.exists() else b""
            write_atomic(one.restored, content)
        _forget_old_disk(directory)
        _put_in_place(directory)
        _move_companions(directory)
        write_atomic(directory.known_host, wanted.host_key.encode() + b"\n")
    except OSError as error:
        sweep(directory)
        raise unusable(directory.root, error) from error
    except BaseException:
        sweep(directory)
        raise


def delete(directory: MachineDir, name: str) -> None:
    """Raises SnapshotRefused, HomeUnusable."""
    find(directory, name)
    try:
        directory.snapshot_manifest(name).unlink()
        sync_directory(directory.snapshots / name)
    except OSError as error:
        raise unusable(directory.root, error) from error
    _remove(directory.snapshots / name)


def delete_all(directory: MachineDir) -> None:
    for one in every(directory):
        delete(directory, one.name)
    sweep(directory)


def sweep(directory: MachineDir) -> bool:
    """Remove incomplete snapshots, and a restore's file that a crash has left. Returns whether
    there was an incomplete snapshot."""
    names = _folders(directory)
    begun = [name for name in names if not directory.snapshot_manifest(name).exists()]
    for name in begun:
        _remove(directory.snapshots / name)
    with contextlib.suppress(OSError):
        _move_companions(directory)
        directory.data_restored.unlink()
    return bool(begun)


def _forget_old_disk(directory: MachineDir) -> None:
    """Remove what belongs to the old disk. After a crash right here the old disk boots cold, and
    its host key is pinned again."""
    for manifest in directory.suspended.glob("*.json"):
        manifest.unlink()
        sync_directory(directory.suspended)
    _remove(directory.suspended)
    directory.known_host.unlink(missing_ok=True)
    directory.spec.unlink(missing_ok=True)  # so the next start fits the file system to its disk
    sync_directory(directory.root)


def _put_in_place(directory: MachineDir) -> None:
    os.replace(directory.data_restored, directory.data_disk)
    directory.data_is_new.unlink(missing_ok=True)
    sync_directory(directory.root)


def _companions(directory: MachineDir, name: str = "") -> tuple[Companion, ...]:
    return (
        Companion(
            directory.to_start, directory.to_start_restored, directory.snapshot_to_start(name)
        ),
        Companion(directory.engine, directory.engine_restored, directory.snapshot_engine(name)),
    )


def _move_companions(directory: MachineDir) -> None:
    """Move the files that belong to the restored disk into place, once that is; if it is not,
    remove them. Correct after a crash too."""
    waiting = [one for one in _companions(directory) if one.restored.exists()]
    is_disk_in_place = not directory.data_restored.exists()
    for one in waiting:
        if not is_disk_in_place:
            one.restored.unlink()
        elif one.restored.stat().st_size:
            os.replace(one.restored, one.current)
        else:
            one.current.unlink(missing_ok=True)
            one.restored.unlink()
    if waiting:
        sync_directory(directory.root)


def _described(directory: MachineDir, name: str, settled: bool) -> MachineSnapshot:
    disk = directory.snapshot_disk(name)
    return MachineSnapshot(
        name=name,
        made_at=time.time(),
        disk_bytes=disk.stat().st_size,
        used_bytes=sparse.allocated(disk),
        settled=settled,
        image=_image(directory),
        uuid=_text(directory.uuid),
        host_key=_text(directory.known_host),
        memory_bytes=sum(map(sparse.allocated, directory.snapshot_suspended(name).glob("*"))),
    )


def _image(directory: MachineDir) -> str:
    spec = last_spec.read(directory)
    return Path(spec.image).name if spec else ""


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _folders(directory: MachineDir) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(directory.snapshots) if entry.is_dir()]
    except OSError:
        return []


def _read(directory: MachineDir, name: str) -> MachineSnapshot | None:
    try:
        manifest = directory.snapshot_manifest(name).read_bytes()
        found = msgspec.json.decode(manifest, type=MachineSnapshot)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.name == name and directory.snapshot_disk(name).exists() else None


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
