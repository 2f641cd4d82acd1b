"""The sealed copy of a program, and the name that leads to it."""

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
    """Where /bin/true is to be found while it is kept."""
    name = tmp_path / "true"
    keeper = subprocess.Popen([sealed, "/bin/true", name])
    until = time.monotonic() + PATIENCE
    while not name.exists() and time.monotonic() < until and keeper.poll() is None:
        os.sched_yield()
    yield name
    keeper.terminate()
    keeper.wait(PATIENCE)


def test_it_runs_and_has_every_seal(link: Path) -> None:
    """With all four of them runc takes it for a copy of itself and makes no other."""
    assert subprocess.run([link], check=False).returncode == 0
    with link.open("rb") as copy:
        assert fcntl.fcntl(copy, fcntl.F_GET_SEALS) == ALL_SEALS
        assert copy.read() == Path("/bin/true").read_bytes()


def test_nobody_writes_to_it(link: Path) -> None:
    with pytest.raises(PermissionError), link.open("r+b", buffering=0) as copy:
        copy.write(b"no")


def test_a_program_that_is_not_there(sealed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sealed, tmp_path / "none", tmp_path / "link"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"No such file" in done.stderr
    assert not (tmp_path / "link").is_symlink()
