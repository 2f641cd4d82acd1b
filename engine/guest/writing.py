"""The errors of writes that failed. Next: `images_lock.py`."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.messages.feed import TRANSFER_NOT_WRITTEN
from vm.errors import DiskFull, HostError, Retry
from vm.messages.host import DISK_FULL


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises the error for a write of `path` that fails in the block.

    The block may report progress, which raises TimeoutError at the deadline of a start's step. That
    one has no number, unlike the OSError of a network share that does not answer.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, TimeoutError) and error.errno is None:
            raise
        raise not_written(path, error) from error


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
