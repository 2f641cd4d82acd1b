"""`daemon-config` of the guest, in a root file system of its own. Needs root."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.guest.recipe import FILES

ROOM = FILES / "usr/lib/galley"
WORK = """
mount -t proc proc "$1/proc"
exec chroot "$1" sh /usr/lib/galley/daemon-config answers
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A guest's root, as far as the script needs it, without dockerd's socket."""
    for name in ("bin", "proc", "run/galley", "usr/lib/galley"):
        (tmp_path / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox, "install busybox-static"
    shutil.copy(busybox, tmp_path / "bin/sh")
    for name in ("daemon-config", "prelude"):
        shutil.copy(ROOM / name, tmp_path / "usr/lib/galley")
    os.mkfifo(tmp_path / "run/galley/never")
    return tmp_path


def test_a_count_of_starts_that_is_being_written_is_no_failure(root: Path) -> None:
    """`service` empties the file before it writes the number. Here each read is a pipe's."""
    starts, later = root / "run/galley/dockerd.starts", root / "later"
    os.mkfifo(starts)
    os.mkfifo(later)
    words = ["unshare", "--mount", "sh", "-c", WORK, "sh", str(root)]
    with subprocess.Popen(words) as script:
        with starts.open("w"):
            later.rename(starts)
        with starts.open("w") as file:  # opens only when the script reads again
            file.write("3 1\n")
        assert script.wait() == 1
