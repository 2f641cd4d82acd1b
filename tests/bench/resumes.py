"""Stopped and started, suspended and resumed, again and again, with containers that are at work.

One writes lines to a volume, each of them on the disk before the next; one serves a published port.
Next: `suspend.py` (how long it takes), `cycles.py` (the same from cold).
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from statistics import median

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.suspend import state_of
from tests.bench.timing import seconds_of, wait_until
from tests.e2e.galley import IMAGE, Galley
from vm.boot import Console
from vm.host import net

WRITER, SERVER, VOLUME = "galley-lines", "galley-serves", "galley-lines"
WRITE = """
n=$(cat /v/n || echo 0)
while n=$((n + 1)); do echo $n >> /v/lines; sync; echo $n > /v/n; usleep 50000; done
"""
SERVE = "echo served > /index.html; exec busybox httpd -f -p 80 -h /"
WAKING = "Waking the machine"


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    port = net.free_port()
    options = ["-d", "--init", "--restart", "always"]
    galley.docker("run", *options, "--name", WRITER, "-v", f"{VOLUME}:/v", IMAGE, "sh", "-c", WRITE)
    galley.docker("run", *options, "--name", SERVER, "-p", f"{port}:80", IMAGE, "sh", "-c", SERVE)
    count = lab.times(50, 3)
    for verb in ("stop", "suspend"):
        failures, downs, ups, sizes = 0, list[float](), list[float](), list[float]()
        for _ in range(count):
            downs.append(seconds_of(partial(galley.run, verb)))
            sizes.append(state_of(galley))
            ups.append(seconds_of(lambda: galley.run("start")))
            failures += not _is_well(galley, port)
        yield row(f"resumes.{verb}_failures", failures, "", n=count, goal=at_most(0))
        yield row(f"resumes.{verb}", median(downs), "s", n=count)
        yield row(f"resumes.{verb}_start", median(ups), "s", n=count)
        half = count // 2
        grown = median(sizes[half:]) / median(sizes[:half])
        yield row(f"resumes.{verb}_state_growth", grown, "×", n=count, goal=at_most(1.1))
    yield row("resumes.lines_lost", _lost(galley), "", n=1, goal=at_most(0))
    galley.docker("rm", "-f", WRITER, SERVER)
    galley.docker("volume", "rm", VOLUME)
    galley.run("stop", "--cold")
    galley.start()
    said = Console(galley.machine.console_log).find("disk")
    yield row("resumes.disk_repaired", said != "disk ok", "", n=1, goal=at_most(0))


def _is_well(galley: Galley, port: int) -> bool:
    """It went on, everything runs, and who asks at the port is served."""
    if WAKING not in {step["step"] for step in galley.status()["boot"]}:
        print("it started from cold", file=sys.stderr)
        return False
    names = set(galley.docker("ps", "--format", "{{.Names}}").stdout.decode().split())
    wait_until(lambda: _answers(port), "the port is served")
    return {WRITER, SERVER} <= names


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return bool(answer.read() == b"served\n")
    except (OSError, urllib.error.URLError):
        return False


def _lost(galley: Galley) -> int:
    """Numbers that are not there, of those up to the last that was acknowledged."""
    read = ["exec", WRITER, "cat"]
    acknowledged = int(galley.docker(*read, "/v/n").stdout)
    there = {int(line) for line in galley.docker(*read, "/v/lines").stdout.split()}
    return len(set(range(1, acknowledged + 1)) - there)
