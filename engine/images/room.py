"""Free space for a file that is to be written, and the errors of a write that failed."""

import shutil
from pathlib import Path

from engine.guest.not_written import not_written
from engine.messages.feed import TRANSFER_NO_ROOM
from vm.errors import DiskFull

__all__ = ["check_room", "not_written"]


def check_room(folder: Path, needed: int) -> None:
    """Raises DiskFull when `needed` bytes more do not fit; OSError."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(TRANSFER_NO_ROOM, needed=needed, free=free, folder=folder)
