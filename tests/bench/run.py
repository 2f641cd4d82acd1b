"""`docker run`, against a dockerd on this computer. No goal: it depends on the emulated CPU.

Next: `../native.py`.
"""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.bench.figures import Row, compared
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of
from tests.e2e.galley import IMAGE

type Docker = Callable[..., subprocess.CompletedProcess[bytes]]


def measure(lab: Lab) -> Iterator[Row]:
    ours, native = lab.running().docker, lab.native.docker
    once = alternate(lab.times(7, 2), lambda: _once(ours), lambda: _once(native))
    yield compared("run.rm", "s", once)
    count = lab.times(20, 4)
    many = alternate(lab.times(3, 1), lambda: _many(ours, count), lambda: _many(native, count))
    yield compared(f"run.{count}_at_once", "s", many)


def _once(docker: Docker) -> float:
    return seconds_of(lambda: docker("run", "--rm", IMAGE, "echo", "it works"))


def _many(docker: Docker, count: int) -> float:
    """Seconds until all of them run. Their removal is not timed."""
    names = [f"galley-many-{number}" for number in range(count)]

    def begin(name: str) -> None:
        docker("run", "-d", "--name", name, IMAGE, "sleep", "100000")

    with ThreadPoolExecutor(count) as pool:
        took = seconds_of(lambda: list(pool.map(begin, names)))
    docker("rm", "-f", *names)
    return took
