"""Free space for a file that is to be written."""

import shutil
from pathlib import Path

from engine.messages.feed import TRANSFER_NO_ROOM
from vm.errors import DiskFull


def check_room(folder: Path, needed: int) -> None:
    """Raises DiskFull when `needed` bytes more do not fit; OSError."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(TRANSFER_NO_ROOM, needed=needed, free=free, folder=folder)
