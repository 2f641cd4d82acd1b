"""The data disk: its use is reported, free space is returned, it can grow, and it may fill up."""

import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.galley import GALLEY, IMAGE, Galley

MIB, GIB = 1 << 20, 1 << 30
DATA = "/var/lib/galley-data"
FILLING = f"{DATA}/filling"
AT_ONCE = 15.0  # seconds; far less than a timeout of a stop


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for a machine and little more."""
    place = tmp_path / "s"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2300m", "none", str(place)]
    subprocess.run(["mount", *options], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def told(galley: Galley) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(galley.run("disk", "--json").stdout)
    return report


def inside(galley: Galley, command: str) -> str:
    return galley.run("shell", "sh", "-c", command).stdout.decode()


def big_tar(size: int) -> bytes:
    """A root file system of random bytes, which cannot be compressed."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = size
        tar.addfile(entry, BytesIO(os.urandom(size)))
    return buffer.getvalue()


def test_reclaim_returns_the_space_of_deleted_images(galley: Galley) -> None:
    size = 128 * MIB
    galley.run("disk", "reclaim")
    empty = told(galley)
    galley.docker("import", "-", "big", stdin=big_tar(size))
    inside(galley, f"sync -f {DATA}")
    full = told(galley)
    assert full["images"] - empty["images"] >= size
    assert full["images_unused"] >= size
    assert full["used_on_host"] - empty["used_on_host"] >= size
    assert full["used_in_machine"] - empty["used_in_machine"] >= size
    galley.docker("tag", "big", "other")
    galley.docker("rmi", "big", "other")
    done = json.loads(galley.run("disk", "reclaim", "--prune", "--json").stdout)
    assert done["after"] == told(galley)["used_on_host"]
    assert full["used_on_host"] - done["after"] >= 0.95 * size


def test_a_full_disk_is_reported_and_works_again_when_space_is_freed(galley: Galley) -> None:
    def problems() -> list[str]:
        return [problem["kind"] for problem in galley.status()["problems"]]

    name = galley.docker("run", "-d", IMAGE, "sleep", "600").stdout.decode().strip()
    left = told(galley)["available_in_machine"] // MIB - 100
    inside(galley, f"fallocate -l {left}M {FILLING}")
    galley.wait_for(lambda: problems() == ["DiskFull"], "it is reported")
    assert "galley disk reclaim" in galley.run("status").stdout.decode()
    writes = "busybox fallocate -l 2000M /big"
    assert galley.docker("run", "--rm", IMAGE, "sh", "-c", writes, check=False).returncode
    assert name[:12] in galley.docker("ps", "-q").stdout.decode()
    inside(galley, f"rm {FILLING}")
    galley.wait_for(lambda: problems() == [], "the problem is cleared")
    assert galley.docker("run", "--rm", IMAGE, "echo", "there").stdout == b"there\n"
    galley.docker("rm", "--force", name)


def test_the_disk_grows_while_it_is_in_use(galley: Galley) -> None:
    before = told(galley)
    name = galley.docker("run", "-d", IMAGE, "sleep", "600").stdout.decode().strip()
    wanted = before["size"] + 8 * GIB
    galley.run("settings", "set", "disk", f"{wanted // GIB}GiB")
    assert galley.status()["vm"]["disk_bytes"] == wanted
    after = told(galley)
    assert after["size"] == wanted
    assert after["available_in_machine"] - before["available_in_machine"] > 7 * GIB
    assert name[:12] in galley.docker("ps", "-q").stdout.decode()
    galley.docker("rm", "--force", name)
    assert galley.status()["problems"] == []


def test_a_full_host_disk_blocks_the_machine_and_loses_nothing(small: Path, images: Path) -> None:
    galley = Galley(small / "h", images)
    galley.take_one_cpu()
    galley.start()
    filling, freed = small / "filling", threading.Event()
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small).free - 16 * MIB)

    def kinds() -> list[str]:
        return [problem["kind"] for problem in galley.status()["problems"]]

    def write() -> str:
        made = f"dd if=/dev/urandom of={FILLING} bs=1M count=48 && sync && md5sum < {FILLING}"
        done = inside(galley, made)
        assert freed.is_set(), "the write did not wait for free space"
        return done

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        galley.wait_for(lambda: kinds() == ["DiskFull"], "it is reported")
        assert galley.machines()
        assert b"disk is full" in galley.docker("ps", check=False).stderr
        for verb in ("stop", "suspend"):
            began = time.monotonic()
            refused = galley.run(verb, check=False)
            assert time.monotonic() - began < AT_ONCE
            assert refused.returncode
            assert b"disk is full" in refused.stderr
            assert b"galley stop --cold" in refused.stderr
            assert galley.machines(), "the machine still waits"
        freed.set()
        filling.unlink()
        galley.wait_for(lambda: kinds() == [], "the machine runs on")
        written = writing.result()
    inside(galley, "echo 1 > /proc/sys/vm/drop_caches")
    assert inside(galley, f"md5sum < {FILLING}") == written
    assert galley.answers()
    galley.remove()


def test_a_cold_stop_ends_a_machine_that_a_full_host_disk_blocks(small: Path, images: Path) -> None:
    """`stop --cold` acts like a power cut: synced data is there once the disk has space."""
    galley = Galley(small / "h", images)
    galley.take_one_cpu()
    galley.start()
    written = inside(galley, f"echo kept > {DATA}/kept && sync && cat {DATA}/kept")
    filling = small / "filling"
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small).free - 16 * MIB)
    writes = f"dd if=/dev/urandom of={FILLING} bs=1M count=48 && sync"
    with galley.popen([*GALLEY, "shell", "sh", "-c", writes]) as writing:
        galley.wait_for(lambda: "DiskFull" in str(galley.status()["problems"]), "it is reported")
        began = time.monotonic()
        galley.run("stop", "--cold")
        assert time.monotonic() - began < AT_ONCE
        writing.communicate()
    assert galley.machines() == []
    assert galley.status()["state"] == "stopped"
    filling.unlink()
    galley.start()
    assert inside(galley, f"cat {DATA}/kept") == written
    assert galley.answers()
    assert galley.status()["problems"] == []
    galley.remove()
