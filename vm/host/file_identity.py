"""Which file an open one is, whatever it is called, and however often its number was used before.

May import: the standard library. Next: `vm/sftp.py`, which opens a file again for who had it open.
"""

import contextlib
import os
import sys

if sys.platform == "linux":
    import fcntl

GENERATION = 0x80087601  # FS_IOC_GETVERSION of 64-bit Linux (linux/fs.h)


def of(handle: int) -> str:
    """The same on another day. ext4 gives a file that is made the number of one that was removed
    just before, and counts how often; APFS and NTFS give none twice. Raises OSError."""
    number = f"{os.fstat(handle).st_ino:x}"
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not every file system counts
            return f"{number}.{fcntl.ioctl(handle, GENERATION, bytes(8)).hex()}"
    return number
