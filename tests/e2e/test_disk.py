"""The data disk: what it holds is told, what is free comes back, it grows, and it may be full."""

import json
import os
import tarfile
from io import BytesIO
from typing import Any

from tests.e2e.galley import IMAGE, Galley

MIB, GIB = 1 << 20, 1 << 30
DATA = "/var/lib/galley-data"
FILLING = f"{DATA}/filling"


def told(galley: Galley) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(galley.run("disk", "--json").stdout)
    return report


def inside(galley: Galley, command: str) -> str:
    return galley.run("shell", "sh", "-c", command).stdout.decode()


def big_tar(size: int) -> bytes:
    """A root file system that no file system makes smaller."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = size
        tar.addfile(entry, BytesIO(os.urandom(size)))
    return buffer.getvalue()


def test_the_room_of_deleted_images_comes_back(galley: Galley) -> None:
    size = 128 * MIB
    galley.run("disk", "reclaim")
    empty = told(galley)
    galley.docker("import", "-", "big", stdin=big_tar(size))
    inside(galley, f"sync {DATA}")
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


def test_a_full_disk_is_told_and_everything_works_when_there_is_room(galley: Galley) -> None:
    def problems() -> list[str]:
        return [problem["kind"] for problem in galley.status()["problems"]]

    name = galley.docker("run", "-d", IMAGE, "sleep", "600").stdout.decode().strip()
    left = told(galley)["available_in_machine"] // MIB - 100
    inside(galley, f"fallocate -l {left}M {FILLING}")
    galley.wait_for(lambda: problems() == ["DiskFull"], "it is told")
    assert "galley disk reclaim" in galley.run("status").stdout.decode()
    writes = "busybox dd if=/dev/zero of=/big bs=1M count=2000"
    assert galley.docker("run", "--rm", IMAGE, "sh", "-c", writes, check=False).returncode
    assert name[:12] in galley.docker("ps", "-q").stdout.decode()
    inside(galley, f"rm {FILLING}")
    galley.wait_for(lambda: problems() == [], "it has room again")
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
