"""When the guest knows so many files of the host that virtiofsd could soon open no more.

virtiofsd holds one descriptor for each file that the guest remembers, and the guest remembers all
that it ever looked up, until its own memory is short. Beyond the user's limit (RLIMIT_NOFILE) files
would be there for the host and missing in containers. Linux only, as virtiofsd is.
May import: psutil, `virtiofsd.py`, `vm.host`. Next: `engine/remembered_files.py`, which has the
guest forget.
"""

import os
import time

import psutil

from vm.backends.qemu import virtiofsd
from vm.directory import MachineDir
from vm.host import process

FULL = 0.5  # of the limit; the rest is for what is looked up until the guest has forgotten
FASTEST = 30_000  # files that a guest looks up in a second, and keeps at it
OFTEN, SELDOM = 0.1, 2.0  # seconds between two looks: none could fill it meanwhile


def wait(directory: MachineDir) -> bool:
    """Block until that is so; False when no folder is served any more."""
    served = [(one, _limit(one.pid)) for one in virtiofsd.of(directory)]
    while served:
        room = min(FULL * limit - _open_files(one.pid) for one, limit in served)
        if room < 0:
            return True
        time.sleep(min(max(OFTEN, room / FASTEST), SELDOM))  # wait_gone takes ten times the CPU
        served = [(one, limit) for one, limit in served if process.is_alive(one)]
    return False


def _limit(pid: int) -> float:
    try:
        limit = psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)[0]
    except psutil.Error:
        return float("inf")
    return float("inf") if limit == psutil.RLIM_INFINITY else float(limit)


def _open_files(pid: int) -> int:
    """The size of that folder is their number since Linux 6.2; before, they are counted."""
    folder = f"/proc/{pid}/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder))
    except OSError:
        return 0
