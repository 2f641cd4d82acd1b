"""A machine after work: 200 execs, 4,000 files, a build, 20 containers. How much host memory it
returns, its size on disk, and the time to resume it.

`memory.py` and `suspend.py` have the same figures of a fresh machine. The first stop follows
directly after the work. Next: `vm/guest/agent.py` (`settle`),
`engine/guest/files/usr/lib/galley/upkeep`.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.bench import memory, suspend
from tests.bench.figures import Row, compared
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of
from tests.e2e.galley import IMAGE, Galley

EXECS, FILES, CONTAINERS = 200, 4000, 20
AT_ONCE = 4
BUILT = 50 << 20  # bytes of the build context
WRITE = """
busybox mkdir -p /own/files; cd /own/files
i=0; while [ $i -lt {} ]; do echo $i > $i; i=$((i + 1)); done
cat * > /all; cd /; busybox rm -r /own/files
"""
BUILD = f"""
FROM {IMAGE}
COPY given /given
RUN busybox sha256sum /given
RUN busybox dd if=/dev/urandom of=/made bs=1M count=20
"""


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    work(lab)
    yield from memory.back_after_a_minute(galley, "_used")
    work(lab)
    yield from suspend.resumes(lab, "_used")
    galley.start()
    yield _work_after_start(galley, lab.times(5, 1))


def work(lab: Lab) -> None:
    """Puts a load on the machine; half of the files are in a container, half in a bind mount."""
    galley = lab.running()
    execs, files = lab.times(EXECS, 10), lab.times(FILES, 100) // 2
    galley.docker("run", "-d", "--name", "galley-used", IMAGE, "sleep", "100000")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: galley.docker("exec", "galley-used", "echo"), range(execs)))
    galley.docker("rm", "-f", "galley-used")
    for mount in ((), ("-v", f"{lab.shared}:/own")):
        galley.docker("run", "--rm", *mount, IMAGE, "sh", "-c", WRITE.format(files))
    context = lab.shared / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(BUILD)
    (context / "given").write_bytes(os.urandom(BUILT))
    galley.docker("build", "-t", "galley-built", str(context))
    names = [f"galley-used-{number}" for number in range(CONTAINERS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(_begin, galley), names))
    galley.docker("rm", "-f", *names)


def _begin(galley: Galley, name: str) -> None:
    galley.docker("run", "-d", "--name", name, IMAGE, "sleep", "100000")


def _work_after_start(galley: Galley, count: int) -> Row:
    """Seconds of a container and 20 execs right after a start; the floor is without a stop."""

    def after_start() -> float:
        galley.run("stop")
        galley.start()
        return seconds_of(lambda: _some_work(galley))

    _some_work(galley)
    times = alternate(count, after_start, lambda: seconds_of(lambda: _some_work(galley)))
    return compared("resume.work_after_start_used", "s", times)


def _some_work(galley: Galley) -> None:
    galley.docker("run", "-d", "--name", "galley-work", IMAGE, "sleep", "100000")
    for _ in range(20):
        galley.docker("exec", "galley-work", "echo")
    galley.docker("rm", "-f", "galley-work")
