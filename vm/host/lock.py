"""A file lock across processes; the system releases it when its holder dies.

The file itself is never removed; its existence means nothing.
"""

import errno
import os
import sys
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PAUSE = 0.02  # seconds between two tries: no system can wait for a lock until a deadline
# The errors of a lock that is held. Wine sets no errno.
HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK, *([0] if sys.platform == "win32" else []))


class FileLock:
    """`acquire()` is False when another process (or another FileLock) holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, *, wait: bool = False, timeout: float = 0.0) -> bool:
        """Take the lock; with `wait`, block until it is free, else try for `timeout` seconds.
        Raises OSError."""
        until = time.monotonic() + timeout
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        while not _lock(handle, wait):
            if wait:
                continue
            if time.monotonic() >= until:
                os.close(handle)
                return False
            time.sleep(PAUSE)
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> "FileLock":
        self.acquire(wait=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lock(handle: int, wait: bool) -> bool:
    """One attempt. Windows stops waiting after ten seconds, so the caller repeats it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in HELD:
            raise
        return False
    return True
