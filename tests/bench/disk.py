"""How much host disk space is freed when images are deleted.

Next: `engine/monitors/resources.py`, `tests/e2e/test_disk.py`.
"""

import json
import time
from collections.abc import Iterator

from tests.bench.figures import Row, at_least, row
from tests.bench.lab import Lab
from tests.e2e.test_disk import big_tar

MIB = 1 << 20


def measure(lab: Lab) -> Iterator[Row]:
    galley, size = lab.running(), lab.times(1024, 64) * MIB
    galley.run("disk", "reclaim")
    before = galley.machine.data_disk_bytes()
    parts = [f"big{number}" for number in range(4)]
    for name in parts:
        galley.docker("import", "-", name, stdin=big_tar(size // len(parts)))
    galley.run("shell", "sync")
    full = galley.machine.data_disk_bytes()
    assert full - before >= size
    galley.docker("rmi", *parts)
    began = time.monotonic()
    after = json.loads(galley.run("disk", "reclaim", "--json").stdout)["after"]
    yield row("disk.reclaim", time.monotonic() - began, "s", n=1)
    yield row("disk.taken", (full - before) / MIB, "MiB", n=1)
    back = 100 * (full - after) / (full - before)
    yield row("disk.back_after_reclaim", back, "%", n=1, goal=at_least(95))
