"""A sparse file is copied without its holes; blocks are shared where the file system can."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vm.errors import Cancelled, DiskFull
from vm.host import sparse
from vm.messages import Message

MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """1 GiB, with 5 MiB of data at the beginning, in the middle, and one byte at the end."""
    file = tmp_path / "source"
    with file.open("wb") as out:
        out.truncate(1 << 30)
        for offset, size in ((0, MIB), (500 * MIB + 4096, 4 * MIB), ((1 << 30) - 1, 1)):
            out.seek(offset)
            out.write(b"data"[: size % 4 or 4] * -(-size // 4))
        out.truncate(1 << 30)
    return file


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that can share blocks."""
    disk, mount_point = tmp_path / "disk", tmp_path / "btrfs"
    with disk.open("wb") as out:
        out.truncate(200 * MIB)
    subprocess.run(["mkfs.btrfs", "-q", disk], check=True)
    mount_point.mkdir()
    subprocess.run(["mount", "-o", "loop", disk, mount_point], check=True)
    yield mount_point
    subprocess.run(["umount", mount_point], check=True)


def is_same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "--silent", one, other]).returncode == 0


def test_data_is_copied_and_holes_stay_holes(source: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    target = tmp_path / "target"
    sparse.copy(source, target, lambda *progress: reports.append(progress))
    assert is_same(source, target)
    assert sparse.allocated(target) <= sparse.allocated(source) < 10 * MIB
    assert reports[-1][0] == reports[-1][1] < 10 * MIB
    assert reports == sorted(reports)


def test_an_empty_file_and_a_file_of_holes_are_copied(tmp_path: Path) -> None:
    for size in (0, 1, 300 * MIB):
        source, target = tmp_path / f"source{size}", tmp_path / f"target{size}"
        with source.open("wb") as out:
            out.truncate(size)
        sparse.copy(source, target, lambda done, total: None)
        assert target.stat().st_size == size
        assert sparse.allocated(target) == 0


def test_an_existing_file_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        sparse.duplicate(source, target, lambda done, total: None)
    assert target.read_text() == "mine"


def test_a_copy_can_be_cancelled(source: Path, tmp_path: Path) -> None:
    def cancel(done: int, total: int) -> None:
        raise Cancelled(Message("", "Enough."))

    with pytest.raises(Cancelled):
        sparse.copy(source, tmp_path / "target", cancel)


def test_a_duplicate_shares_blocks(shared: Path) -> None:
    source, target = shared / "source", shared / "target"
    source.write_bytes(b"galley" * (5 * MIB))
    os.sync()
    free = shutil.disk_usage(shared).free
    assert sparse.clones(shared)
    assert list(shared.iterdir()) == [source]
    sparse.duplicate(source, target, lambda done, total: pytest.fail("it was copied"))
    os.sync()
    assert free - shutil.disk_usage(shared).free < MIB
    assert is_same(source, target)
    with source.open("r+b") as out:
        out.write(b"GALLEY")
    assert target.read_bytes()[:6] == b"galley"


def test_a_failed_attempt_to_share_blocks_leaves_no_file(source: Path, tmp_path: Path) -> None:
    mount_point = tmp_path / "tmpfs"
    mount_point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", mount_point], check=True)
    try:
        assert not sparse.clones(mount_point)
        assert not sparse.clone(source, mount_point / "target")
        assert list(mount_point.iterdir()) == []
    finally:
        subprocess.run(["umount", mount_point], check=True)


def test_a_full_disk_is_an_error_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = sparse.KEPT_FREE + sparse.allocated(source)
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free - 1))
    with pytest.raises(DiskFull, match=r"needs \d+ MiB, and \d+ MiB are free"):
        sparse.duplicate(source, tmp_path / "target", lambda done, total: None)
    assert not (tmp_path / "target").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free))
    sparse.duplicate(source, tmp_path / "target", lambda done, total: None)


def test_zeros_that_are_written_take_no_space(tmp_path: Path) -> None:
    data = b"start" + bytes(MIB) + b"end" + bytes(5000)
    with (tmp_path / "file").open("wb") as file:
        sparse.write(file, data)
        file.truncate()
    assert (tmp_path / "file").read_bytes() == data
    assert sparse.allocated(tmp_path / "file") < MIB // 2
