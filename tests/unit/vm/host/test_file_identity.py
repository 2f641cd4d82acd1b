"""The identity of an open file."""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vm.host import file_identity, process

ROOT = Path(__file__).parents[4]


def identity(path: Path) -> str:
    handle = os.open(path, os.O_RDONLY)
    try:
        return file_identity.of(handle)
    finally:
        os.close(handle)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_text("one")
    return made


def test_an_identity_survives_a_write_a_chmod_and_a_rename(file: Path, tmp_path: Path) -> None:
    before = identity(file)
    file.write_text("longer than before")
    file.chmod(0o400)
    other = file.rename(tmp_path / "other")
    assert identity(other) == before
    file.write_text("longer than before")
    assert identity(file) != before


def test_a_reused_inode_number_is_another_identity(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ext4 reuses the inode number of a removed file for the next new one."""
    generations: Iterator[bytes] = iter((b"1", b"2"))
    monkeypatch.setattr(fcntl, "ioctl", lambda *arguments: next(generations))
    assert identity(file) != identity(file)


def test_without_generations_the_inode_number_is_used(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> bytes:
        raise OSError

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    assert identity(file) == f"{file.stat().st_ino:x}"


OVERLAY = """
mount -t tmpfs all "$1" && cd "$1" && mkdir lower upper work merged
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work all merged
exec "$2" -c 'import sys; from vm.host.file_identity import has_handles
print(*map(has_handles, (".", "merged", "missing", sys.argv[1])))' "$3"
"""


def test_a_tmpfs_has_file_handles_and_an_overlay_has_none(tmp_path: Path) -> None:
    command = ("unshare", "--mount", "sh", "-ec", OVERLAY, "sh", tmp_path, sys.executable, ROOT)
    done = process.run(command, timeout=30, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout == b"True False False True\n", done.tail()
