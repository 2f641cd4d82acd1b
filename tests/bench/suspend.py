"""`galley stop` and `galley start` with a suspend: time, memory and disk.

The floor is that of a cold start. The machine is fresh; `used.py` measures one after work. Needs
Linux (/proc), and root to drop the page cache. Next: `boot.py`,
`vm/backends/qemu/state/suspend.py`.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil

from tests.bench.boot import floor_of
from tests.bench.figures import Row, at_most, compared, row
from tests.bench.http_endpoints import ask, unix_endpoint
from tests.bench.lab import Lab
from tests.bench.timing import alternate, seconds_of, sleep, wait_until
from tests.e2e.galley import GALLEY, Galley
from vm.host.process import wait_gone

MIB = 1 << 20


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.stopped()
    galley.start()
    yield _written_while_idle(galley, lab.times(60, 5))
    yield from resumes(lab)


def resumes(lab: Lab, suffix: str = "") -> Iterator[Row]:
    """Stops and starts the running machine repeatedly."""
    galley = lab.running()
    words = psutil.Process(galley.vm_identity().pid).cmdline()
    stops = [_stop(galley)]

    def start() -> float:
        took = _start(galley)
        stops.append(_stop(galley))
        return took

    def start_with_nothing_cached() -> float:
        _drop_page_cache()
        return start()

    def floor() -> float:
        return floor_of(words, galley, lab.folder)

    yield row(f"resume.first_stop{suffix}", stops[0], "s", n=1)
    first = state_of(galley)
    yield row(f"resume.state_on_disk{suffix}", first, "MiB", n=1, goal=at_most(400))
    start()
    times = alternate(lab.times(10, 2), start, floor)
    yield compared(f"resume.command{suffix}", "s", times, at_most(0.25))
    times = alternate(lab.times(5, 1), start_with_nothing_cached, floor)
    yield compared(f"resume.command_nothing_cached{suffix}", "s", times, at_most(0.6))
    yield row(f"resume.stop{suffix}", median(stops), "s", n=len(stops), goal=at_most(1.5))
    held = _held(galley)
    yield row(f"resume.memory_when_suspended{suffix}", held, "MiB", n=1, goal=at_most(0))


def _start(galley: Galley) -> float:
    """Seconds from the command until `GET /containers/json` (`docker ps`) works."""
    endpoint = unix_endpoint(galley.home.docker_socket)

    def answers() -> bool:
        try:
            return ask(endpoint, "GET", "/containers/json").strip() == b"[]"
        except OSError:
            return False

    began = time.monotonic()
    command = galley.popen([*GALLEY, "start"])
    wait_until(answers, "the containers are listed", 0.005)
    took = time.monotonic() - began
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 0, output.decode(errors="replace")
    assert "Resuming the machine" in {step["step"] for step in galley.status()["boot"]}
    return took


def _stop(galley: Galley) -> float:
    """Seconds until no process of the machine is left."""
    machine = galley.vm_identity()
    return seconds_of(lambda: (galley.run("stop"), wait_gone(machine, 60)))


def _drop_page_cache() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def _written_while_idle(galley: Galley, seconds: int) -> Row:
    process = psutil.Process(galley.vm_identity().pid)
    sleep(seconds * 1.5)  # late work after the start: the checkpoint is saved, the disk trimmed
    before = process.io_counters().write_bytes
    sleep(seconds)
    written = (process.io_counters().write_bytes - before) / MIB * 60 / seconds
    return row("resume.written_while_idle", written, "MiB/min", n=1, goal=at_most(2))


def state_of(galley: Galley) -> float:
    """The size of a suspended machine on the disk, in MiB."""
    files = galley.machine.suspended.iterdir()
    return sum(file.stat().st_blocks * 512 for file in files) / MIB


def _held(galley: Galley) -> float:
    """MiB held by the machine's processes; `idle` measures the supervisor."""
    ours = [one for one in psutil.process_iter(["cmdline"]) if _is_of(galley, one)]
    return sum(float(one.memory_info().rss) for one in ours) / MIB


def _is_of(galley: Galley, process: psutil.Process) -> bool:
    words = process.info["cmdline"] or []
    is_machine = any("qemu-system" in word or "virtiofsd" in word for word in words[:1])
    return is_machine and any(str(galley.home.run) in word for word in words)
