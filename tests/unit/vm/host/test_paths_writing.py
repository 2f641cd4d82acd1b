"""How files are replaced: whole, private, durable, and on Windows in spite of who reads them."""

import errno
import os
import tempfile
import time
from pathlib import Path

import pytest

from tests.background import Background
from vm.errors import DiskFull
from vm.host import paths
from vm.host.paths import write_atomic


def test_a_file_is_replaced_and_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "and" / "in it" / "file"
    write_atomic(file, b"old")
    before = file.stat()
    assert before.st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    write_atomic(file, b"new", 0o644)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.stat().st_ino != before.st_ino
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    held = os.listdir("/proc/self/fd")
    write_atomic(tmp_path / "file", b"x")
    assert len(os.listdir("/proc/self/fd")) == len(held)


def test_it_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        done.append(f"{path.name[:6]} {path.stat().st_size if path.is_file() else ''}".strip())
        sync(handle)

    def note_replace(new: Path, path: Path) -> None:
        done.append(f"{new.name[:6]} is {path.name}")
        replace(new, path)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_atomic(tmp_path / "file", b"12345")
    assert done == [".file. 5", ".file. is file", tmp_path.name[:6]]


def test_one_that_cannot_be_written_leaves_the_old_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_atomic(file, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=f"the disk that holds {tmp_path}"):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_threads_write_different_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    replace = os.replace

    def note(new: Path, path: Path) -> None:
        names.append(new.name)
        replace(new, path)

    monkeypatch.setattr(os, "replace", note)
    with Background() as beside:
        for _ in range(2):
            beside.submit(write_atomic, tmp_path / "file", b"x").result()
    write_atomic(tmp_path / "file", b"x")
    assert len(set(names)) >= 2
    assert all(name.startswith(f".file.{os.getpid()}.") for name in names)
    assert all(name.endswith(".new") for name in names)


# Windows, as far as Linux can stand for it


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a file was to be replaced that somebody has open, who closes it after three tries."""
    tries: list[float] = []

    def refuse(new: Path, path: Path) -> None:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "it is open")

    monkeypatch.setattr(os, "replace", refuse)
    return tries


def test_whoever_reads_a_file_is_waited_for(
    refused: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    paths._replace(tmp_path, tmp_path)
    assert len(refused) == 3
    assert paths.PAUSE * 2 <= refused[2] - refused[0] < paths.READING


def test_but_no_longer_than_reading_takes(
    refused: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(paths, "READING", -1.0)
    with pytest.raises(PermissionError):
        paths._replace(tmp_path, tmp_path)
    assert len(refused) == 1


def test_nobody_is_waited_for_elsewhere(refused: list[float], tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        paths._replace(tmp_path, tmp_path)
    assert len(refused) == 1


def test_what_only_posix_has_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "name", "nt")
    paths.sync_directory(long)
    assert paths._run_directory(long) == long / "run"
    assert paths.temporary_folders() == (os.path.realpath(tmp_path),)
