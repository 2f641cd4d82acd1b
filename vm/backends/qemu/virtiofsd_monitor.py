"""Watches virtiofsd: reports too many open files, and the end of one before its machine.

virtiofsd holds an open file for each inode that the guest caches, and the guest caches inodes until
its own memory is short. At the user's limit (RLIMIT_NOFILE) files would exist on the host and be
missing in containers. QEMU does not let a new virtiofsd replace an ended one. Linux only, as
virtiofsd is; before Linux 6.2 a process of an ordinary user cannot be counted, and nothing is
reported. Next: `engine/shares/inode_pressure.py`, which drops the cache.
"""

import os
import sys
from pathlib import Path
from threading import Event

from vm.backends.qemu import running
from vm.backends.qemu.shares import virtiofsd
from vm.capabilities import Forget, Lost
from vm.directory import MachineDir

if sys.platform == "linux":
    import resource

FULL = 0.5  # of the limit; the rest is for lookups until the guest has dropped its cache
FASTEST = 30_000  # lookups per second of a busy guest
SHORTEST_POLL, LONGEST_POLL = 0.1, 2.0  # seconds: between two polls the limit is not reached
SETTLED = 0.1  # seconds until virtiofsd has closed the files
ENDS = 2.0  # seconds within which QEMU has ended too, where that ended virtiofsd
REST, LONGEST = 0.5, 8.0  # seconds until the next `forget`, where the last one closed few files


def watch(directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
    """Call `forget` at the limit, and again while it lasts: less often where containers hold the
    files open. `lost` gets the number of each share whose virtiofsd has ended while QEMU runs.
    Returns when none is left, or `ended` is set."""
    served = {one.pid: number for one, number in virtiofsd.serving(directory).items()}
    numbers = virtiofsd.numbers(directory)
    pause = rest = 0.0
    while not ended.wait(pause):
        # Quicker than an identity check: `ended.wait` returns when the machine ends.
        served = {pid: number for pid, number in served.items() if _is_there(pid)}
        for number in sorted(numbers.difference(served.values())):
            if ended.wait(ENDS) or running.find(directory) is None:  # it ends when QEMU does
                return
            numbers.remove(number)
            lost(number)
        if not served:
            return
        limit = min(map(_limit, served))
        held = max(map(_open_files, served))
        pause = min(max(SHORTEST_POLL, (FULL * limit - held) / FASTEST), LONGEST_POLL)
        if held > FULL * limit:
            forget()
            ended.wait(SETTLED)
            helped = held - max(map(_open_files, served)) > FULL * limit / 4
            pause = rest = 0.0 if helped else min(max(2 * rest, REST), LONGEST)


def _is_there(pid: int) -> bool:
    """False for a zombie."""
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def _limit(pid: int) -> float:
    if sys.platform == "linux":
        try:
            limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        except OSError:
            return float("inf")
        if limit != resource.RLIM_INFINITY:
            return float(limit)
    return float("inf")


def _open_files(pid: int) -> int:
    """The size of /proc/PID/fd is their number since Linux 6.2; before, they are counted."""
    folder = f"/proc/{pid}/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder))
    except OSError:
        return 0
