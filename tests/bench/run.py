"""Containers, against a dockerd on this computer. No goal: an emulated CPU decides it.

Next: `../native.py`.
"""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.bench.figures import Row, compared
from tests.bench.lab import Lab
from tests.bench.timing import seconds_of, turn_about
from tests.e2e.galley import IMAGE

type Docker = Callable[..., subprocess.CompletedProcess[bytes]]


def measure(lab: Lab) -> Iterator[Row]:
    ours, native = lab.running().docker, lab.native.docker
    once = turn_about(lab.times(7, 2), lambda: _once(ours), lambda: _once(native))
    yield compared("run.rm", "s", once)
    count = lab.times(20, 4)
    many = turn_about(lab.times(3, 1), lambda: _many(ours, count), lambda: _many(native, count))
    yield compared(f"run.{count}_at_once", "s", many)


def _once(docker: Docker) -> float:
    return seconds_of(lambda: docker("run", "--rm", IMAGE, "echo", "it works"))


def _many(docker: Docker, count: int) -> float:
    """Until all of them run. Removing them is not timed."""
    names = [f"galley-many-{number}" for number in range(count)]

    def begin(name: str) -> None:
        docker("run", "-d", "--name", name, IMAGE, "sleep", "100000")

    with ThreadPoolExecutor(count) as pool:
        took = seconds_of(lambda: list(pool.map(begin, names)))
    docker("rm", "-f", *names)
    return took
