"""Repeated stops and starts, suspends and resumes, with running containers.

Two are a compose project: one writes lines to a volume, each synced before the next; one serves a
published port. A third has a volume with a file that must not change.
Next: `suspend.py` (the times), `cycles.py` (the same with cold starts).
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.suspend import state_of
from tests.bench.timing import seconds_of, wait_until
from tests.contract.power import faults_of
from tests.e2e.galley import IMAGE, SERVE, Galley
from vm.guest.console import Console
from vm.host import net

WRITER, SERVER, HOLDER = "galley-lines", "galley-serves", "galley-holds"
WRITE = """
n=$(cat /v/n || echo 0)
while n=$((n + 1)); do echo $n >> /v/lines; sync; echo $n > /v/n; usleep 50000; done
"""
HOLD = """
[ -e /v/file ] || { busybox dd if=/dev/urandom of=/v/new bs=1M count=16
busybox mv /v/new /v/file; }
exec sleep 2147483647
"""
RESUMING = "Resuming the machine"


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    galley.load_compose()
    port = net.free_port()
    project = _project(lab.folder, port)
    galley.docker("compose", "-f", str(project), "up", "-d")
    holder = ["-d", "--init", "--restart", "always", "--name", HOLDER, "-v", f"{HOLDER}:/v"]
    galley.docker("run", *holder, IMAGE, "sh", "-c", HOLD)
    wait_until(lambda: _is_written(galley), "the file is written")
    before, files = _sum(galley), _files(galley)
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
    galley.run("stop", "--cold")  # what is read now comes from the disk
    yield row("resumes.fsck", faults_of(galley.machine.data_disk) != "", "", n=1, goal=at_most(0))
    galley.start()
    line = Console(galley.machine.console_log).find("disk")
    yield row("resumes.disk_repaired", line != "disk ok", "", n=1, goal=at_most(0))
    yield row("resumes.lines_lost", _lost(galley), "", n=1, goal=at_most(0))
    yield row("resumes.files_changed", _sum(galley) != before, "", n=1, goal=at_most(0))
    yield row("resumes.left_behind", len(_files(galley) - files), "", n=1, goal=at_most(0))
    galley.docker("compose", "-f", str(project), "down", "-v")
    galley.docker("rm", "-f", "-v", HOLDER)
    galley.docker("volume", "rm", HOLDER)


def _project(folder: Path, port: int) -> Path:
    """JSON is YAML. Dollars are doubled, because compose would expand them."""
    common = {"image": IMAGE, "init": True, "restart": "always"}
    write, volumes = WRITE.replace("$", "$$"), ["lines:/v"]
    services = {
        "lines": {**common, "command": ["sh", "-c", write], "volumes": volumes},
        "serves": {**common, "command": ["sh", "-c", SERVE], "ports": [f"{port}:80"]},
    }
    services["lines"]["container_name"], services["serves"]["container_name"] = WRITER, SERVER
    made = folder / "compose.yaml"
    made.write_bytes(msgspec.json.encode({"services": services, "volumes": {"lines": {}}}))
    return made


def _is_written(galley: Galley) -> bool:
    return (
        galley.docker("exec", HOLDER, "busybox", "test", "-e", "/v/file", check=False).returncode
        == 0
    )


def _sum(galley: Galley) -> bytes:
    return galley.docker("exec", HOLDER, "busybox", "sha256sum", "/v/file").stdout


def _files(galley: Galley) -> set[Path]:
    return set(galley.machine.root.rglob("*"))


def _is_well(galley: Galley, port: int) -> bool:
    """Whether the machine was resumed, all containers run and the port answers."""
    if RESUMING not in {step["step"] for step in galley.status()["boot"]}:
        print("it started from cold", file=sys.stderr)
        return False
    names = set(galley.docker("ps", "--format", "{{.Names}}").stdout.decode().split())
    wait_until(lambda: _answers(port), "the port answers")
    return {WRITER, SERVER, HOLDER} <= names


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return bool(answer.read() == b"served\n")
    except (OSError, urllib.error.URLError):
        return False


def _lost(galley: Galley) -> int:
    """How many of the acknowledged numbers are missing."""
    read = ["exec", WRITER, "cat"]
    acknowledged = int(galley.docker(*read, "/v/n").stdout)
    there = {int(line) for line in galley.docker(*read, "/v/lines").stdout.split()}
    return len(set(range(1, acknowledged + 1)) - there)
