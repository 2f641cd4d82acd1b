"""Creating and restoring snapshots. The floors are a plain copy of the file by `cp`, and a restart.
`snapshot.longest_wait` is the longest time between two synced writes of a container.

Next: `engine/lifecycle/snapshots.py`, `tests/e2e/test_snapshots.py`.
"""

import subprocess
from collections.abc import Iterator
from itertools import pairwise

from tests.bench.figures import Row, at_most, compared, row
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of, wait_until
from tests.e2e.galley import IMAGE, Galley
from vm.host import sparse

MIB = 1 << 20
WRITE = "while read -r up _ < /proc/uptime; do echo $up >> /data/lines; sync -d /data/lines; done"


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    size = lab.times(500, 50)
    fill = f"busybox dd if=/dev/urandom of=/data/random bs=1M count={size} && sync"
    galley.docker("run", "--rm", "-v", "bench:/data", IMAGE, "sh", "-c", fill)
    rounds = lab.times(5, 1)
    yield compared(
        "snapshot.create", "s", alternate(rounds, lambda: _create(galley), lambda: _cp(galley))
    )
    galley.run("snapshot", "create", "bench")
    disk, copy = galley.machine.data_disk, galley.machine.snapshot_disk("bench")
    taken, there = sparse.allocated(copy) / MIB, sparse.allocated(disk) / MIB
    yield row("snapshot.size", taken, "MiB", floor=there, n=1, goal=at_most(1.1))
    pauses = alternate(rounds, lambda: _pause(galley, snapshot=True), lambda: _pause(galley))
    yield compared("snapshot.longest_wait", "s", pauses)
    restores = alternate(
        lab.times(3, 1),
        lambda: seconds_of(lambda: galley.run("snapshot", "restore", "bench", "--yes")),
        lambda: seconds_of(lambda: galley.run("restart")),
    )
    yield compared("snapshot.restore", "s", restores, at_most(1.5))
    galley.run("snapshot", "delete", "bench")
    galley.docker("volume", "rm", "bench")


def _create(galley: Galley) -> float:
    took = seconds_of(lambda: galley.run("snapshot", "create", "timed"))
    galley.run("snapshot", "delete", "timed")
    return took


def _cp(galley: Galley) -> float:
    """Seconds for a copy that is synced, as a snapshot is."""
    copy = galley.machine.root / "plain"
    words = ["sh", "-c", 'cp --sparse=always --reflink=auto "$0" "$1" && sync "$1"']
    took = seconds_of(
        lambda: subprocess.run([*words, str(galley.machine.data_disk), str(copy)], check=True)
    )
    copy.unlink()
    return took


def _pause(galley: Galley, *, snapshot: bool = False) -> float:
    """The longest time between two lines of a container that writes all the time."""
    named = ["--name", "writer", "-v", "writer:/data", IMAGE]
    galley.docker("run", "-d", *named, "sh", "-c", WRITE)

    def lines() -> list[float]:
        stdout = galley.docker("exec", "writer", "cat", "/data/lines", check=False).stdout
        return [float(line) for line in stdout.split()[:-1]]

    wait_until(lambda: len(lines()) > 20, "the container writes")
    if snapshot:
        galley.run("snapshot", "create", "timed")
    count = len(lines()) + 20
    wait_until(lambda: len(lines()) > count, "the container writes on")
    found = lines()
    galley.docker("rm", "-f", "writer")
    galley.docker("volume", "rm", "writer")
    if snapshot:
        galley.run("snapshot", "delete", "timed")
    return max(after - before for before, after in pairwise(found))
