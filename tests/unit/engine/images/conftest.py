"""Keys for Debian repositories, each of which takes a moment to make, and a small disk.

Next: `server.py`, `signer.py`, `current.py`.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debian_repository import Key, signing_key


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    with signing_key() as made:
        yield made


@pytest.fixture(scope="session")
def other_key() -> Iterator[Key]:
    with signing_key() as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)
