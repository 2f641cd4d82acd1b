"""The error of a write that failed."""

import errno
from pathlib import Path

from engine.messages.feed import TRANSFER_NOT_WRITTEN
from vm.errors import DiskFull, HostError, Retry
from vm.messages.host import DISK_FULL


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
