"""How much host memory is freed when a container needs less, or ends.

Next: `engine/guest/files/usr/lib/galley/upkeep`, `idle.py`, `used.py`.
"""

import os
from collections.abc import Iterator

from tests.bench.figures import Row, at_least, row
from tests.bench.lab import Lab
from tests.bench.timing import sleep, wait_until
from tests.e2e.galley import IMAGE, Galley
from vm.backends.qemu.running import find
from vm.host import memory, sparse
from vm.host.process import cpu_seconds, resident_bytes

MIB = 1 << 20
TAKEN = 500  # MiB
SETTLE, AFTER, CALM = 30.0, 60.0, 180.0  # seconds


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    machine = galley.vm_identity()
    sleep(lab.times(int(SETTLE), 5))
    # The first time, QEMU's own memory grows too, by translated code (under TCG), and the guest's,
    # by programs in its page cache. So the first time is only reported, and the goal is for the
    # second time.
    before, ram_before = resident_bytes(machine), _ram(galley)
    _, ram_peak = _take(galley)
    sleep(AFTER)
    kept = resident_bytes(machine) - before
    ram_back = 100 * (ram_peak - _ram(galley)) / (ram_peak - ram_before)
    yield row("memory.guests_back_first_time", ram_back, "%", n=1)
    yield row("memory.kept_of_first_time", kept / MIB, "MiB", n=1)
    yield from back_after_a_minute(galley)
    yield from _while_it_runs(galley)


def back_after_a_minute(galley: Galley, suffix: str = "") -> Iterator[Row]:
    """The memory that a container took, and the share that is free a minute after its end."""
    machine = galley.vm_identity()
    before = resident_bytes(machine)
    peak, _ = _take(galley)
    sleep(AFTER)
    back = 100 * (peak - resident_bytes(machine)) / (peak - before)
    yield row(f"memory.taken{suffix}", (peak - before) / MIB, "MiB", n=1)
    yield row(f"memory.back_after_a_minute{suffix}", back, "%", n=1, goal=at_least(90))


def _ram(galley: Galley) -> int:
    """Bytes of this computer's memory that the guest's RAM takes, without QEMU's own memory."""
    found = find(galley.machine)
    assert found is not None
    ram = memory.open_of(found.identity.pid, found.memory)
    try:
        return sparse.allocated(ram)
    finally:
        os.close(ram)


def _take(galley: Galley) -> tuple[int, int]:
    """Runs a container that takes memory, and removes it; returns the peaks of QEMU and RAM."""
    fill = (
        f"busybox dd if=/dev/urandom of=/m/taken bs=1M count={TAKEN}; touch /m/all; exec sleep 1000"
    )
    words = ("-d", "--name", "taker", "--tmpfs", f"/m:size={TAKEN + 50}m")
    galley.docker("run", *words, IMAGE, "sh", "-c", fill)
    galley.docker("exec", "taker", "sh", "-c", "until [ -e /m/all ]; do sleep 0.1; done; sync")
    peak = resident_bytes(galley.vm_identity()), _ram(galley)
    galley.docker("rm", "-f", "taker")
    return peak


def _while_it_runs(galley: Galley) -> Iterator[Row]:
    """A container writes a file and then only sleeps; its page cache should be freed."""
    machine, taken = galley.vm_identity(), TAKEN * MIB
    before = resident_bytes(machine)
    fill = f"busybox dd if=/dev/urandom of=/f bs=1M count={TAKEN}; sync; exec sleep 1000"
    galley.docker("run", "-d", "--name", "reader", IMAGE, "sh", "-c", fill)
    wait_until(lambda: resident_bytes(machine) - before >= 0.9 * taken, "the file is in memory")
    galley.docker("exec", "reader", "sync")
    peak, used = resident_bytes(machine), cpu_seconds(machine)
    sleep(CALM)
    back = 100 * (peak - resident_bytes(machine)) / (peak - before)
    cpu = 100 * (cpu_seconds(machine) - used) / CALM
    galley.docker("rm", "-f", "reader")
    yield row("memory.back_while_it_runs", back, "%", n=1, goal=at_least(50))
    yield row("memory.cpu_meanwhile", cpu, "%", n=1)
