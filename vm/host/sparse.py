"""Copies large sparse files: by reflink where the file system can, else data without holes.

Reflinks are ioctl_ficlone(2) on Linux (Btrfs, XFS, bcachefs) and clonefile(2) on macOS (APFS).
Where no call tells holes from data (Windows), zeros are left out.
"""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from vm.errors import DiskFull
from vm.messages.host import DISK_COPY_TOO_LARGE

if sys.platform != "win32":
    import fcntl

CHUNK = 4 << 20  # bytes between two reports
BLOCK = 4096  # bytes: the smallest hole of common file systems
FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)

KEPT_FREE = 512 << 20  # bytes: a copy must not fill the disk of a running machine

# Gets the number of bytes copied so far, and the total; ends the copy by raising.
type Report = Callable[[int, int], None]


def allocated(file: Path | int) -> int:
    """Bytes that a file, by name or descriptor, takes on its disk or in memory. Raises OSError."""
    seen = os.stat(file)
    return getattr(seen, "st_blocks", seen.st_size // 512) * 512


def duplicate(source: Path, target: Path, report: Report) -> None:
    """Reflink, or copy. Raises DiskFull before anything is written, OSError, and what `report`
    raises; the caller removes a partial `target`."""
    if not clone(source, target):
        check_room(target.parent, allocated(source))
        copy(source, target, report)


def check_room(folder: Path, wanted: int) -> None:
    """Raises DiskFull when `wanted` bytes more would fill the disk."""
    free = shutil.disk_usage(folder).free
    if wanted + KEPT_FREE > free:
        raise DiskFull(
            DISK_COPY_TOO_LARGE,
            needed=wanted + KEPT_FREE,
            free=free,
            folder=folder,
        )


def clones(folder: Path) -> bool:
    """Whether files in `folder` can be reflinked. Raises OSError where none can be made."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source = Path(place, "source")
        source.write_bytes(b"\0" * 4096)
        return clone(source, Path(place, "target"))


def clone(source: Path, target: Path) -> bool:
    """Make `target` a reflink of `source`, as of one moment, and durable.

    False, and no file, where the file system cannot. Raises OSError when `target` cannot be made at
    all.
    """
    with source.open("rb") as old, new_file(target) as new:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.ioctl(new, FICLONE, old.fileno())
                os.fsync(new.fileno())
                return True
    target.unlink()
    is_cloned = False
    if sys.platform == "darwin":
        import ctypes

        clonefile = ctypes.CDLL(None).clonefile
        is_cloned = bool(clonefile(os.fsencode(source), os.fsencode(target), 0) == 0)
    return is_cloned


def copy(source: Path, target: Path, report: Report) -> None:
    """A durable copy with holes where `source` has them. Raises OSError, FileExistsError, and what
    `report` raises; the caller removes a partial `target`."""
    with source.open("rb", buffering=0) as old, new_file(target) as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        data = list(extents(old.fileno(), size))
        done, total = 0, sum(end - start for start, end in data)
        for start, end in data:
            for place in range(start, end, CHUNK):
                done += _move(old, new, place, min(CHUNK, end - place))
                report(done, total)
        new.flush()
        os.fsync(new.fileno())


def new_file(path: Path) -> BinaryIO:
    """Private to this user, whatever the mode of the source. Raises FileExistsError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    return os.fdopen(handle, "wb")


def write(file: BinaryIO, data: bytes) -> None:
    """Write `data` at the place where `file` is, leaving out blocks of zeros; the caller truncates
    the file there at the end. Raises OSError."""
    zeros = bytes(BLOCK)
    for start in range(0, len(data), BLOCK):
        piece = data[start : start + BLOCK]
        if piece == zeros:
            file.seek(BLOCK, os.SEEK_CUR)
        else:
            file.write(piece)


def extents(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges of data: first byte, and the one after the last. Raises OSError."""
    if sys.platform == "win32":
        yield 0, size
    else:
        place = 0
        while (start := next_data(handle, place, size)) < size:
            place = os.lseek(handle, start, os.SEEK_HOLE)
            yield start, place


def next_data(handle: int, place: int, size: int) -> int:
    """The first byte of data at `place` or after it; `size` where a hole reaches the end. Raises
    OSError."""
    if sys.platform != "win32" and place < size:
        try:
            place = os.lseek(handle, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            place = size
    return place


def _move(old: BinaryIO, new: BinaryIO, place: int, count: int) -> int:
    old.seek(place)
    new.seek(place)
    left = count
    while left and (data := old.read(left)):
        if data.count(0) == len(data):
            new.seek(len(data), os.SEEK_CUR)
        else:
            new.write(data)
        left -= len(data)
    return count
