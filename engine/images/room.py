"""Free space for a file that is to be written, and the errors of a write that failed."""

import errno
import shutil
from pathlib import Path

from engine.messages.feed import TRANSFER_NO_ROOM, TRANSFER_NOT_WRITTEN
from vm.errors import DiskFull, HostError, Retry
from vm.messages.host import DISK_FULL


def check_room(folder: Path, needed: int) -> None:
    """Raises DiskFull when `needed` bytes more do not fit; OSError."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(TRANSFER_NO_ROOM, needed=needed, free=free, folder=folder)


def not_written(path: Path, error: OSError) -> HostError:
    """The error for a failed write of `path`."""
    if error.errno == errno.ENOSPC:
        return DiskFull(DISK_FULL, root=path.parent)
    return HostError(
        TRANSFER_NOT_WRITTEN,
        path=path,
        reason=error.strerror or error,
        details=str(error),
        retry=Retry.NO,
    )
