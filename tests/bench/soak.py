"""A long run of the window: containers are created and removed, logs and terminals are opened and
closed, the window switches engines, and the engine is killed and restarted.

Compares memory, threads and sockets at the end with those of the second quarter: even a small leak
shows in minutes, because everything happens a thousand times. Next: `soak_window.py`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import mean

import psutil

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.timing import sleep
from tests.e2e.galley import IMAGE
from tests.native import NativeDocker

MINUTES = 16.0
BREAK_EVERY = 120.0  # seconds between two kills of the engine
STEP_SECONDS = 1.5  # between two steps of the simulated user
MOST_RESIDENT = 150  # MiB
LOGGER = "while true; do busybox seq 1000000 1002000; busybox sleep 1; done"


def measure(lab: Lab) -> Iterator[Row]:
    minutes = MINUTES if not lab.quick else 0.7
    _start_logger(lab.native)
    window = _open(lab)
    try:
        seen = _soak(lab, window, minutes)
        assert window.is_running(), "the window has ended"
    finally:
        window.terminate()
        window.wait(30)
        quit_ = [sys.executable, "-m", "engine.cli", "quit"]
        subprocess.run(quit_, env=_environment(lab), check=True, capture_output=True)
    quarter = max(1, len(seen) // 4)
    second, last = seen[quarter : 2 * quarter], seen[-quarter:]
    for name, unit, place, goal in (
        ("soak.resident", "MiB", 0, at_most(1.05)),
        ("soak.threads", "", 1, at_most(1.05)),
        ("soak.sockets", "", 2, at_most(1.05)),
    ):
        value, floor = mean(one[place] for one in last), mean(one[place] for one in second)
        yield row(name, value, unit, n=len(last), floor=floor, goal=goal)
    most = max(one[0] for one in last)
    yield row("soak.resident_most", most, "MiB", n=len(last), goal=at_most(MOST_RESIDENT))
    lab.native.docker("rm", "-f", "soak-logger")


def _start_logger(native: NativeDocker) -> None:
    """Starts a container with a log and a shell."""
    words = ("--restart=always", "--network=none", IMAGE, "sh", "-c", LOGGER)
    native.docker("run", "-d", "--name", "soak-logger", *words)


def _open(lab: Lab) -> psutil.Process:
    config = lab.folder / "soak-docker"
    host = {"docker": {"Host": f"unix://{lab.native.socket}"}}
    for name in ("soak", "soak-too"):  # two contexts with the same engine
        meta = config / "contexts" / "meta" / name
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": host}))
    home = lab.folder / "soak-home"
    home.mkdir()
    (home / "window.ini").write_text("[General]\ncontext=soak\n")
    (home / "settings.toml").write_text('backend = "fake"\n')
    window = [sys.executable, "-m", "tests.bench.soak_window", str(STEP_SECONDS)]
    child = subprocess.Popen(window, env=_environment(lab))
    return psutil.Process(child.pid)


def _environment(lab: Lab) -> dict[str, str]:
    """The environment of the window, which starts a supervisor on the fake backend."""
    return {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "GALLEY_HOME": str(lab.folder / "soak-home"),
        "DOCKER_CONFIG": str(lab.folder / "soak-docker"),
    }


def _soak(lab: Lab, window: psutil.Process, minutes: float) -> list[tuple[float, float, float]]:
    """Samples of the window every few seconds: MiB, threads, sockets."""
    native = lab.native
    seen: list[tuple[float, float, float]] = []
    until = time.monotonic() + 60 * minutes
    broken = time.monotonic()
    number = 0
    while time.monotonic() < until:
        number += 1
        name = f"soak-{number}"
        native.docker("run", "-d", "--name", name, "--network=none", IMAGE, "sleep", "100")
        native.docker("rm", "-f", name)
        if number % 5 == 0:
            memory = window.memory_info().rss / 1024**2
            seen.append((memory, window.num_threads(), len(window.net_connections("unix"))))
        if time.monotonic() - broken > min(BREAK_EVERY, 15 * minutes):
            broken = time.monotonic()
            _break(native)
    return seen


def _break(native: NativeDocker) -> None:
    """Kills the engine and starts it again on the same socket."""
    native.kill(signal.SIGKILL)
    sleep(1.0)
    native.launch()
