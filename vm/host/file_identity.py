"""Identifies an open file, independent of its name and of reused inode numbers.

Next: `vm/sftp/server.py`, which reopens files of an earlier server, `vm/in_use.py`.
"""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

if sys.platform == "linux":
    import fcntl

BOOT = Path("/proc/sys/kernel/random/boot_id")  # changes at each boot of this computer
AT_FDCWD = -100
MAX_HANDLE_SZ = 128  # bytes (fcntl.h)
GENERATION = 0x80087601  # FS_IOC_GETVERSION of 64-bit Linux (linux/fs.h)


def of(handle: int) -> str:
    """The identity of an open file, the same on later days. ext4 reuses the inode number of a
    removed file at once, and counts generations; APFS and NTFS never reuse one. Raises OSError."""
    number = f"{os.fstat(handle).st_ino:x}"
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not every file system counts
            return f"{number}.{fcntl.ioctl(handle, GENERATION, bytes(8)).hex()}"
    return number


def at(path: str) -> str:
    """The identity of the file at `path`; "" without one. On file systems without generations, such
    as tmpfs, a reboot invalidates it."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        found = _number(path)
    else:
        try:
            found = of(handle)
        finally:
            os.close(handle)
    if found and "." not in found and sys.platform == "linux":
        with contextlib.suppress(OSError):
            found += f" {BOOT.read_text().strip()}"
    return found


def _number(path: str) -> str:
    """The inode number of a file that may not be opened."""
    try:
        return f"{os.stat(path).st_ino:x}"
    except OSError:
        return ""


class _Handle(ctypes.Structure):
    """struct file_handle of name_to_handle_at(2)."""

    _fields_ = (
        ("size", ctypes.c_uint),
        ("type", ctypes.c_int),
        ("bytes", ctypes.c_ubyte * MAX_HANDLE_SZ),
    )


def has_handles(path: str) -> bool:
    """Whether the file system supports file handles; an overlay does not."""
    found = False
    if sys.platform == "linux":
        handle, mount = _Handle(MAX_HANDLE_SZ), ctypes.c_int()
        ask = ctypes.CDLL(None).name_to_handle_at
        found = not ask(AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0)
    return found
