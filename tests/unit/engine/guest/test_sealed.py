"""The sealed copy of a program, and the link to it."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.guest.recipe import FILES

PATIENCE = 20.0
ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
CHECKS = ("-Wall", "-Wextra", "-fsanitize=address,undefined")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sealed") / "sealed"
    source = FILES / "source" / "sealed.c"
    subprocess.run(["cc", "-O1", "-Werror", *CHECKS, "-o", made, source], check=True)
    return made


@pytest.fixture
def link(sealed: Path, tmp_path: Path) -> Iterator[Path]:
    """The link to a sealed copy of /bin/true."""
    name = tmp_path / "true"
    process = subprocess.Popen([sealed, "/bin/true", name])
    until = time.monotonic() + PATIENCE
    while not name.exists() and time.monotonic() < until and process.poll() is None:
        os.sched_yield()
    yield name
    process.terminate()
    process.wait(PATIENCE)


def test_the_copy_runs_and_has_every_seal(link: Path) -> None:
    """With all four seals runc accepts the copy and makes no other."""
    assert subprocess.run([link], check=False).returncode == 0
    with link.open("rb") as copy:
        assert fcntl.fcntl(copy, fcntl.F_GET_SEALS) == ALL_SEALS
        assert copy.read() == Path("/bin/true").read_bytes()


def test_the_copy_is_not_writable(link: Path) -> None:
    with pytest.raises(PermissionError), link.open("r+b", buffering=0) as copy:
        copy.write(b"no")


def test_a_missing_program_is_reported(sealed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sealed, tmp_path / "none", tmp_path / "link"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"No such file" in done.stderr
    assert not (tmp_path / "link").is_symlink()
