"""Memory that two processes share, and its copies, which keep the holes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vm.host import memory, sparse

MIB = 1 << 20
SIZE = 64 * MIB


@pytest.fixture
def written() -> int:
    """Data in the middle, across the boundary of a piece, and at the very end."""
    made = memory.create(SIZE)
    for at in (5 * MIB, memory.PIECE - 2048, SIZE - 4096):
        os.pwrite(made, bytes(range(256)) * 16, at)
    return made


def content(file: int) -> bytes:
    return os.pread(file, SIZE, 0)


def test_a_copy_has_the_same_bytes_and_holes(written: int, tmp_path: Path) -> None:
    file = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    memory.copy(written, file)
    assert content(file) == content(written)
    assert sparse.allocated(file) < MIB
    back = memory.create(SIZE)
    memory.copy(file, back)
    assert content(back) == content(written)
    assert sparse.allocated(back) < MIB


def test_unwritten_memory_is_a_hole(tmp_path: Path) -> None:
    file = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    memory.copy(memory.create(SIZE), file)
    assert os.fstat(file).st_size == SIZE
    assert sparse.allocated(file) == 0


def test_pages_of_zeros_take_no_space_in_a_copy(written: int, tmp_path: Path) -> None:
    os.pwrite(written, bytes(20 * MIB), 30 * MIB)
    os.pwrite(written, b"between zeros", 40 * MIB + 4096)
    assert sparse.allocated(written) > 20 * MIB
    file = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    memory.copy(written, file)
    assert content(file) == content(written)
    assert sparse.allocated(file) < MIB


def test_memory_is_shared_with_a_child_that_inherits_it(written: int) -> None:
    path = memory.path_of(written)
    change = f"import os; os.pwrite(os.open('{path}', os.O_RDWR), b'changed', 0); input()"
    command = [sys.executable, "-c", change]
    child = subprocess.Popen(command, pass_fds=(written,), stdin=subprocess.PIPE)
    other = memory.open_of(child.pid, written)
    assert child.stdin is not None
    child.stdin.close()
    child.wait(20)
    assert os.pread(other, 7, 0) == b"changed", "the memory outlives the child"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "full"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_copy_to_a_full_disk_is_an_error(written: int, full_disk: Path) -> None:
    with open(full_disk / "copy", "wb") as file, pytest.raises(OSError, match="No space left"):
        memory.copy(written, file.fileno())
