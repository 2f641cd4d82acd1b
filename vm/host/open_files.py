"""The limit of open files of this process, and a budget for those of a guest.

Systems start with a low limit because of programs that use select(2), which is limited to 1024.
Galley does not, and every forwarded connection takes two. Next: `vm/sftp/folder.py`, which uses a
`Budget`.
"""

import contextlib
import errno
import sys
import threading

if sys.platform != "win32":
    import resource

WANTED = 65536
WINDOWS = 8192  # descriptors of its C runtime
FEW = 10240  # what macOS accepts where it reports that there is no limit


def allow_many() -> None:
    """Raise the soft limit as far as the system allows, up to `WANTED`; child processes inherit
    it."""
    if sys.platform != "win32":  # sockets have no such limit there
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
        for wanted in (most, min(most, FEW)):
            if soft == resource.RLIM_INFINITY or soft >= wanted:
                return
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


class Budget:
    """Descriptors opened for a guest: at most half of the process's limit, so that the supervisor
    can still accept clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, number: int) -> None:
        """Raises OSError (EMFILE) until others are returned."""
        with self._lock:
            if self._taken + number > _limit() // 2:
                raise OSError(errno.EMFILE, "too many files are open for the guest")
            self._taken += number

    def give_back(self, number: int) -> None:
        with self._lock:
            self._taken -= number


def _limit() -> int:
    limit = WINDOWS
    if sys.platform != "win32":
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        limit = WANTED if soft == resource.RLIM_INFINITY else soft
    return limit
