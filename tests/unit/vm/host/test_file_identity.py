"""Which file an open one is."""

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


def test_it_stays_the_same_whatever_becomes_of_the_file(file: Path, tmp_path: Path) -> None:
    before = identity(file)
    file.write_text("longer than before")
    file.chmod(0o400)
    other = file.rename(tmp_path / "other")
    assert identity(other) == before
    file.write_text("longer than before")
    assert identity(file) != before


def test_a_number_that_is_given_again_counts_as_another(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ext4 does with a file that is made right after one was removed."""
    generations: Iterator[bytes] = iter((b"1", b"2"))
    monkeypatch.setattr(fcntl, "ioctl", lambda *words: next(generations))
    assert identity(file) != identity(file)


def test_without_generations_the_inode_number_is_used(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*words: object) -> bytes:
        raise OSError

    monkeypatch.setattr(fcntl, "ioctl", refuses)
    assert identity(file) == f"{file.stat().st_ino:x}"


OVERLAY = """
mount -t tmpfs all "$1" && cd "$1" && mkdir lower upper work merged
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work all merged
exec "$2" -c 'import sys; from vm.host.file_identity import has_handles
print(*map(has_handles, (".", "merged", "missing", sys.argv[1])))' "$3"
"""


def test_which_file_systems_have_handles(tmp_path: Path) -> None:
    """One in memory has, an overlay has none."""
    words = ("unshare", "--mount", "sh", "-ec", OVERLAY, "sh", tmp_path, sys.executable, ROOT)
    done = process.run(words, timeout=30, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout == b"True False False True\n", done.tail()
