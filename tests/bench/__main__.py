"""Runs the requested groups, or all, and prints each figure as soon as it is measured.

Exit code 1 when a goal is missed or a group fails. One machine is booted at a time, and all groups
share it. Next: `lab.py`, `figures.py`.
"""

import argparse
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil

from tests.bench import (
    boot,
    bulk,
    cli,
    credentials,
    cycles,
    disk,
    execs,
    file_events,
    idle,
    images,
    jobs,
    memory,
    mounts,
    ping,
    ports,
    resumes,
    run,
    saver,
    snapshots,
    soak,
    stream,
    suspend,
    used,
    window,
)
from tests.bench.figures import Row, head
from tests.bench.lab import Lab
from tests.contract.conftest import guest_image
from vm.backends.qemu import program
from vm.backends.qemu.accel import processor_name
from vm.errors import GalleyError

# In this order: idle figures are measured before the machine has done any work.
GROUPS: dict[str, Callable[[Lab], Iterator[Row]]] = {
    "boot": boot.measure,
    "idle": idle.measure,
    "saver": saver.measure,
    "memory": memory.measure,
    "cli": cli.measure,
    "credentials": credentials.measure,
    "image": images.measure,
    "run": run.measure,
    "ping": ping.measure,
    "ports": ports.measure,
    "bulk": bulk.measure,
    "stream": stream.measure,
    "exec": execs.measure,
    "mounts": mounts.measure,
    "jobs": jobs.measure,
    "disk": disk.measure,
    "file_events": file_events.measure,
    "snapshot": snapshots.measure,
    "resume": suspend.measure,
    "used": used.measure,
    "resumes": resumes.measure,
    "boots": cycles.measure_boots,
    "cycles": cycles.measure_cycles,
    "window": window.measure,
    "soak": soak.measure,
}


class Result(msgspec.Struct):
    """The content of the `--json` file."""

    computer: str
    image: str
    quick: bool
    load: float  # runnable processes of this computer before the run
    rows: list[Row]
    failures: dict[str, str]


def main() -> int:
    options = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up, as on Ctrl+C
    image = guest_image()
    computer = _computer()
    result = Result(computer, image.name, options.quick, os.getloadavg()[0], [], {})
    print(f"{computer}; load {result.load:.1f}; image {image.name}")
    print(head(), flush=True)
    lab = Lab(image.parent, options.quick)
    try:
        for name in options.names or GROUPS:
            _measure(name, lab, result)
    finally:
        lab.close()
        if options.json:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    missed = [one.name for one in result.rows if one.holds is False]
    print(f"{len(missed)} goals missed, {len(result.failures)} groups failed")
    return 1 if missed or result.failures else 0


def _computer() -> str:
    """The computer's properties that the figures depend on."""
    memory = psutil.virtual_memory().total / 2**30
    cpus = f"{os.cpu_count()} CPUs ({processor_name()})"
    return f"{platform.platform()}, {cpus}, {memory:.0f} GiB, {program.find().version}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench", description="Measure Galley.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GROUPS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="few samples: does the bench work?")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(GROUPS)):
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return options


def _measure(name: str, lab: Lab, result: Result) -> None:
    """Runs a group. A failure is reported, and the next groups run."""
    began = time.monotonic()
    try:
        for one in GROUPS[name](lab):
            result.rows.append(one)
            print(one, flush=True)
    except (GalleyError, AssertionError, OSError, ValueError) as error:
        traceback.print_exc()
        result.failures[name] = str(error) or repr(error)
    print(f"({name}: {time.monotonic() - began:.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
