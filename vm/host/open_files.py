"""How many files and sockets this process may have open, and a guest through it.

Systems begin with few, for the sake of programs that wait with select(2), which can count to 1024
only. Nothing of ours does, and every connection that is carried takes two. Next:
`vm/sftp/folder.py`, which spends a `Budget`.
"""

import contextlib
import errno
import sys
import threading

if sys.platform != "win32":
    import resource

WANTED = 65536
WINDOWS = 8192  # descriptors of its C runtime
FEW = 10240  # what macOS takes where it says that there is no limit


def allow_many() -> None:
    """As many as the system allows without asking, up to `WANTED`; what we start inherits it."""
    if sys.platform == "win32":  # sockets have no such limit there
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    for wanted in (most, min(most, FEW)):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


class Budget:
    """Descriptors that are opened for a guest: up to half of the process's limit. Without the other
    half the supervisor could accept no client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, number: int) -> None:
        """Raises OSError (EMFILE) until others are given back."""
        with self._lock:
            if self._taken + number > _limit() // 2:
                raise OSError(errno.EMFILE, "too many files are open for the guest")
            self._taken += number

    def give_back(self, number: int) -> None:
        with self._lock:
            self._taken -= number


def _limit() -> int:
    if sys.platform == "win32":
        return WINDOWS
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return WANTED if soft == resource.RLIM_INFINITY else soft
