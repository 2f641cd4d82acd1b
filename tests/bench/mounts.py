"""A bind mount of a folder of this computer, against a volume on the guest's own disk (ext4).

One container has both and takes the times by its uptime, without the docker CLI's time. Before each
read the guest syncs and drops its page cache, dentries and inodes (drop_caches, 3). This computer
keeps its own page cache, for the folder and for the disk.

Next: `vm/backends/qemu/shares/virtiofsd.py`, `jobs.py`.
"""

import itertools
import os
from collections.abc import Callable, Iterator

from tests.bench.figures import Goal, Row, at_least, compared
from tests.bench.lab import Lab
from tests.bench.run import Docker
from tests.bench.timing import alternate
from tests.e2e.galley import IMAGE

NAME = "galley-mounts"
BIND, OWN = "/bind", "/own"  # in the container
FILES = 2000
LINE = "x" * 500  # the content of each file, twice
MIB = 1 << 20
TIMED = "read from _ < /proc/uptime; {}; read to _ < /proc/uptime; echo $from $to"
CREATE = """busybox mkdir {folder}; i=0
while [ $i -lt {count} ]; do printf '%s\\n%s\\n' {line} {line} > {folder}/$i; i=$((i+1)); done"""
READ_BIG = "busybox dd if=big of=/dev/null bs=1M 2> /dev/null"
DROP = "sync; echo 3 > /proc/sys/vm/drop_caches"


def measure(lab: Lab) -> Iterator[Row]:
    docker, count, size = lab.running().docker, lab.times(FILES, 200), lab.times(256, 32)
    place = lab.shared / "mounts"
    place.mkdir()
    (place / "big").write_bytes(os.urandom(size * MIB))
    mounts = ("-v", f"{place}:{BIND}", "-v", f"{NAME}:{OWN}")
    docker("run", "-d", "--name", NAME, *mounts, IMAGE, "sleep", "100000")
    inside(docker, NAME, OWN, f"cat {BIND}/big > big; sync")
    rounds, numbers = lab.times(5, 1), itertools.count()

    def both(work: Callable[[str], float]) -> tuple[list[float], list[float]]:
        return alternate(rounds, lambda: work(BIND), lambda: work(OWN))

    def create(folder: str) -> float:
        """In a new folder: ext4 checks each inode that was deleted in the last seconds."""
        inside(docker, NAME, folder, "sync")
        script = CREATE.format(folder=f"small{next(numbers)}", count=count, line=LINE)
        return count / seconds_inside(docker, NAME, folder, script)

    def read(folder: str) -> float:
        _forget(lab)
        script = "set -- small*; cat $1/* > /dev/null"
        return count / seconds_inside(docker, NAME, folder, script)

    def read_big(folder: str) -> float:
        _forget(lab)
        return size / seconds_inside(docker, NAME, folder, READ_BIG)

    works: tuple[tuple[str, str, Callable[[str], float], Goal], ...] = (
        (f"mounts.create_{count}", "files/s", create, at_least(0.15)),
        (f"mounts.read_{count}", "files/s", read, at_least(0.25)),
        ("mounts.read_in_order", "MiB/s", read_big, at_least(0.5)),
    )
    for name, unit, work, goal in works:
        yield compared(name, unit, both(work), goal)
    docker("rm", "-f", NAME)
    docker("volume", "rm", NAME)


def inside(docker: Docker, container: str, folder: str, script: str) -> str:
    done = docker("exec", "-w", folder, container, "sh", "-ec", script)
    return done.stdout.decode()


def seconds_inside(docker: Docker, container: str, folder: str, script: str) -> float:
    """Seconds by the container's uptime, which has a resolution of a hundredth of a second."""
    began, ended = map(float, inside(docker, container, folder, TIMED.format(script)).split())
    return max(ended - began, 0.01)


def _forget(lab: Lab) -> None:
    guest = lab.guest()
    done = guest.run(("sh", "-c", DROP), timeout=120)
    assert done.ok, done.tail()
    guest.close()
