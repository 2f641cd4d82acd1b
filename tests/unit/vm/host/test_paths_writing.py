"""How files are replaced: atomically, private, durable, and on Windows also while they are read."""

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


def test_write_atomic_leaves_no_file_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    write_atomic(tmp_path / "file", b"x")
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_is_synced_before_it_is_renamed_and_then_its_folder_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        calls.append(f"{path.name[:6]} {path.stat().st_size if path.is_file() else ''}".strip())
        sync(handle)

    def note_replace(new: Path, path: Path) -> None:
        calls.append(f"{new.name[:6]} is {path.name}")
        replace(new, path)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_atomic(tmp_path / "file", b"12345")
    assert calls == [".file. 5", ".file. is file", tmp_path.name[:6]]


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_atomic(file, b"old")

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
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


# Windows, as far as Linux can simulate it


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of the tries to replace a file that another process keeps open for two tries."""
    times: list[float] = []

    def refuse(new: Path, path: Path) -> None:
        times.append(time.monotonic())
        if len(times) < 3:
            raise PermissionError(errno.EACCES, "it is open")

    monkeypatch.setattr(os, "replace", refuse)
    return times


def test_on_windows_a_replace_is_retried_while_the_file_is_open(
    tries: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    paths._replace(tmp_path, tmp_path)
    assert len(tries) == 3
    assert paths.PAUSE * 2 <= tries[2] - tries[0] < paths.READING


def test_on_windows_a_replace_is_not_retried_after_the_deadline(
    tries: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(paths, "READING", -1.0)
    with pytest.raises(PermissionError):
        paths._replace(tmp_path, tmp_path)
    assert len(tries) == 1


def test_a_replace_is_not_retried_on_other_systems(tries: list[float], tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        paths._replace(tmp_path, tmp_path)
    assert len(tries) == 1


def test_windows_uses_no_posix_only_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "name", "nt")
    paths.sync_directory(long)
    assert paths._run_directory(long) == long / "run"
    assert paths.temporary_folders() == (os.path.realpath(tmp_path),)
