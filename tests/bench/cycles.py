"""Repeated starts and stops: the number of failures, and files and processes left behind.

Two groups. `cycles` uses `galley stop`. `boots` kills QEMU and starts it again, so that each boot
finds a data disk that was not unmounted. Next: `tests/e2e/test_survival.py`.
"""

import sys
import time
from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.timing import seconds_of, wait_until
from tests.e2e.galley import Galley
from vm.host import process


def measure_cycles(lab: Lab) -> Iterator[Row]:
    galley = lab.stopped()
    galley.start()
    galley.run("stop", "--cold")  # a second start also keeps the previous console log
    count = lab.times(20, 3)
    files = _files(galley)
    failures, starts, stops, left = 0, [], [], set[str]()
    for _ in range(count):
        failed, took = _try_start(galley)
        failures += failed
        starts.append(took)
        stops.append(seconds_of(lambda: galley.run("stop", "--cold", check=False)))
        left |= set(galley.machines()) | (_files(galley) - files)
    yield row("cycles.failures", failures, "", n=count, goal=at_most(0))
    yield row("cycles.start", median(starts), "s", n=count)
    yield row("cycles.start_slowest", max(starts), "s", n=count)
    yield row("cycles.stop", median(stops), "s", n=count)
    galley.run("quit")
    wait_until(lambda: not galley.processes(), "the supervisor has ended")
    left |= {str(path) for path in galley.home.run.iterdir() if path.is_socket()}
    for one in sorted(left):
        print(f"left behind: {one}", file=sys.stderr)
    yield row("cycles.left_behind", len(left), "", n=count, goal=at_most(0))


def measure_boots(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    count = lab.times(50, 3)
    failures, starts = 0, []
    for _ in range(count):
        killed = galley.vm_identity()
        process.end(killed, force=True)
        process.wait_gone(killed, 10)
        wait_until(lambda: galley.status()["state"] == "stopped", "the machine's exit is detected")
        failed, took = _try_start(galley)
        failures += failed
        starts.append(took)
    yield row("boots.failures", failures, "", n=count, goal=at_most(0))
    yield row("boots.start", median(starts), "s", n=count)
    yield row("boots.start_slowest", max(starts), "s", n=count)


def _try_start(galley: Galley) -> tuple[bool, float]:
    """Whether a start failed, and its seconds."""
    began = time.monotonic()
    done = galley.run("start", check=False)
    took = time.monotonic() - began
    return done.returncode != 0 or not galley.answers(), took


def _files(galley: Galley) -> set[str]:
    root = galley.home.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if "images" not in path.parts}
