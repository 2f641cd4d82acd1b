"""The window: time to the first rows, idle cost, long lists and fast logs.

It uses a dockerd on this computer, so that no emulated CPU affects the figures, and no screen.
Times of lists are CPU time of the window's thread, which is independent of other processes.
Next: `window_probe.py`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from tests.bench.figures import Row, at_most, compared, row
from tests.bench.http_endpoints import ask, unix_endpoint
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of
from tests.e2e.galley import IMAGE
from tests.native import NativeDocker

IDLE_SECONDS = 60
LINE = "a line of a log, as long as most of them are, with words to its end"
FLOOD = f"while true; do busybox yes '{LINE}' | busybox head -n 100; busybox usleep 8000; done"


def measure(lab: Lab) -> Iterator[Row]:
    native = lab.native
    socket = str(native.socket)
    _fill(native, "few", lab.times(100, 10))
    rounds = lab.times(9, 2)
    samples = alternate(
        rounds,
        lambda: _probe(lab, "rows", socket)["seconds"],
        lambda: _probe(lab, "bare")["seconds"],
    )
    yield compared("window.first_rows", "s", samples, at_most(5.0))
    yield row("window.first_rows_alone", median(samples[0]), "s", n=rounds, goal=at_most(0.6))
    seconds = lab.times(IDLE_SECONDS, 5)
    stayed = _probe(lab, "stay", socket, str(seconds))
    yield row("window.idle", 100 * stayed["share"], "%", n=1, goal=at_most(0.5))
    yield row("window.resident", stayed["mib"], "MiB", n=1, goal=at_most(150))
    yield row("window.threads", stayed["threads"], "", n=1)
    yield from _flood(lab, native)
    yield from _lists(lab, native)


def _flood(lab: Lab, native: NativeDocker) -> Iterator[Row]:
    """Ten thousand lines a second, in bursts of a hundred."""
    native.docker("run", "-d", "--name", "flood", "--network=none", IMAGE, "sh", "-c", FLOOD)
    seen = _probe(lab, "flood", str(native.socket), "flood")
    yield row("window.log_rate", seen["rate"], "/s", n=1)
    yield row("window.log_block", seen["gap"], "ms", n=1, goal=at_most(50))
    yield row("window.log_block_p99", seen["usual"], "ms", n=1)
    yield row("window.log_resident", seen["mib"], "MiB", n=1)
    native.docker("rm", "-f", "flood")


def _lists(lab: Lab, native: NativeDocker) -> Iterator[Row]:
    """Lists of a thousand containers; `window.list_answer` is the engine's own time."""
    _fill(native, "many", lab.times(1000, 50))
    endpoint = unix_endpoint(native.socket)
    answers = [seconds_of(lambda: ask(endpoint, "GET", "/containers/json?all=1")) for _ in range(5)]
    floor = 1000 * median(answers)
    took = _probe(lab, "lists", str(native.socket))
    yield row("window.list", took["first"], "ms", n=1, goal=at_most(150))
    yield row("window.list_answer", floor, "ms", n=5)
    yield row("window.row_change", took["change"], "ms", n=7, goal=at_most(16))
    yield row("window.filter_key", took["key"], "ms", n=8, goal=at_most(16))
    yield row("window.filter_key_worst", took["worst_key"], "ms", n=8)
    native.docker("rm", "-f", *_names("few", lab.times(100, 10)))
    for names in _batches(_names("many", lab.times(1000, 50))):
        native.docker("rm", "-f", *names)


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


def _batches(names: list[str]) -> Iterator[list[str]]:
    for place in range(0, len(names), 100):
        yield names[place : place + 100]


def _fill(native: NativeDocker, kind: str, count: int) -> None:
    def create(name: str) -> None:
        verb = ["run", "-d"] if kind == "few" else ["create"]
        native.docker(*verb, "--name", name, "--network=none", IMAGE, "sleep", "100000")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, _names(kind, count)))


def _probe(lab: Lab, *words: str) -> dict[str, float]:
    home = lab.folder / "window"
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "GALLEY_HOME": str(home),
        "STARTED": repr(time.time()),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.window_probe", *words],
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
