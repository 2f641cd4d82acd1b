"""When the guest knows so many files of the host that virtiofsd could soon open no more, and when
one has ended before its machine: QEMU lets no other take over.

virtiofsd holds one descriptor for each file that the guest remembers, and the guest remembers all
that it ever looked up, until its own memory is short. Beyond the user's limit (RLIMIT_NOFILE) files
would be there for the host and missing in containers. Linux only, as virtiofsd is; before Linux 6.2
an ordinary user may not count them, and nothing is told. Next: `engine/shares/inode_pressure.py`
(has the guest forget).
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

FULL = 0.5  # of the limit; the rest is for what is looked up until the guest has forgotten
FASTEST = 30_000  # files that a guest looks up in a second, and keeps at it
OFTEN, SELDOM = 0.1, 2.0  # seconds between two polls: none could fill it meanwhile
SETTLED = 0.1  # seconds in which virtiofsd hears what the guest has forgotten
ENDS = 2.0  # seconds in which QEMU is gone, too, where it was its end
REST, LONGEST = 0.5, 8.0  # seconds until it is to forget again, where that was of little use


def watch(directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
    """Call `forget` when that is so, and again as long as it is: less often where containers have
    the files open. `lost` is told each that serves no longer while QEMU runs. Returns when no
    folder is served any more, or `ended` is set."""
    served = {one.pid: number for one, number in virtiofsd.serving(directory).items()}
    numbers = virtiofsd.numbers(directory)
    pause = rest = 0.0
    while not ended.wait(pause):
        # Quicker than to ask whether it is the same one still: who waits is let go when it ends.
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
        pause = min(max(OFTEN, (FULL * limit - held) / FASTEST), SELDOM)
        if held > FULL * limit:
            forget()
            ended.wait(SETTLED)
            helped = held - max(map(_open_files, served)) > FULL * limit / 4
            pause = rest = 0.0 if helped else min(max(2 * rest, REST), LONGEST)


def _is_there(pid: int) -> bool:
    """A zombie is not."""
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
    """The size of that folder is their number since Linux 6.2; before, they are counted."""
    folder = f"/proc/{pid}/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder))
    except OSError:
        return 0
