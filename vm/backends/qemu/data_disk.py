"""The data disk: a raw sparse file.

`mirror.py` copies it, `io_error_watch.py` reports errors of the disk below it.
"""

import os
import shutil
from pathlib import Path

from vm.backends.qemu import running
from vm.backends.qemu.command import DATA
from vm.capabilities import GrowsDisk
from vm.directory import MachineDir
from vm.errors import DiskFull
from vm.messages.machine import DISK_TOO_LITTLE_FREE

LEAST_FREE = 2 << 30  # bytes for a first image and its container; the disk itself is sparse


class DataDiskGrowth(GrowsDisk):
    """The guest's kernel sees the new size at once."""

    def grow(self, directory: MachineDir, disk_bytes: int) -> None:
        found = running.find_or_raise(directory)
        with running.control(directory, found) as session:
            session.execute("block_resize", **{"node-name": DATA, "size": disk_bytes})
        running.record_disk_size(directory, found, disk_bytes)


def create_disk(directory: MachineDir, size: int) -> None:
    """Create the disk if it is missing, and grow it to at least `size` bytes. Growing takes no
    space until the guest writes. Raises DiskFull, OSError."""
    disk = directory.data_disk
    if not disk.exists():
        _check_space(directory.root)
        directory.data_is_new.touch()  # first: a disk without it would not be formatted
        disk.touch(mode=0o600)
    if disk.stat().st_size < size:
        os.truncate(disk, size)


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise DiskFull(
            DISK_TOO_LITTLE_FREE,
            folder=folder,
            free=free,
            needed=LEAST_FREE,
        )
