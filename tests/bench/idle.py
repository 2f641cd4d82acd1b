"""The cost of an idle Galley: CPU time in a minute, and memory.

Next: `engine/lifecycle/dockerd_watch.py` and `vm/guest/ssh.py`, whose threads must only ever block;
`vm/lifecycle/machine.py`.
"""

from collections.abc import Iterator

import psutil

from tests.bench.figures import Row, at_most, row
from tests.bench.lab import Lab
from tests.bench.timing import sleep
from tests.e2e.galley import Galley
from vm.host.process import Identity, cpu_seconds, resident_bytes

SETTLE = 30.0  # seconds after a start, for late work of the guest: inode tables, logs, checks
MIB = 1 << 20


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    minute = lab.times(60, 10)
    sleep(lab.times(int(SETTLE), 5))
    parts = {"vm": galley.vm_identity(), "supervisor": galley.supervisor_identity()}
    before = {name: cpu_seconds(one) for name, one in parts.items()}
    sleep(minute)
    used = {name: 100 * (cpu_seconds(one) - before[name]) / minute for name, one in parts.items()}
    yield row("idle.vm_cpu", used["vm"], "%", n=1, goal=at_most(1.5))
    yield row("idle.supervisor_cpu", used["supervisor"], "%", n=1, goal=at_most(0.2))
    yield row("idle.vm_memory", _mib(parts["vm"]), "MiB", n=1, goal=at_most(600))
    yield row("idle.vm_memory_ram", _ram(parts["vm"], galley), "MiB", n=1)
    yield row("idle.vm_memory_in_guest", _used_in_guest(lab), "MiB", n=1)
    yield row("idle.supervisor_memory", _mib(parts["supervisor"]), "MiB", n=1, goal=at_most(60))


def _mib(one: Identity) -> float:
    return resident_bytes(one) / MIB


def _ram(vm: Identity, galley: Galley) -> float:
    """MiB of the guest's RAM that this computer holds; the rest of QEMU is translated code."""
    size = int(galley.status()["vm"]["memory_bytes"])
    for one in psutil.Process(vm.pid).memory_maps(grouped=False):
        first, last = (int(end, 16) for end in one.addr.split("-"))
        if last - first == size:
            return float(one.rss / MIB)
    raise AssertionError("QEMU has no mapping of the size of the guest's RAM")


def _used_in_guest(lab: Lab) -> float:
    """MiB that Linux in the guest uses, including its page cache."""
    guest = lab.guest()
    lines = (line.split() for line in guest.read("/proc/meminfo").decode().splitlines())
    kib = {name.rstrip(":"): int(amount) for name, amount, *_ in lines}
    guest.close()
    return (kib["MemTotal"] - kib["MemFree"]) / 1024
