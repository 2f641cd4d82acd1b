"""Whether a file or a process belongs to this user, so that another local user cannot pass theirs
off as Galley's. Next: `paths.py`.

On POSIX, user ids are compared. root is trusted too, for it can do everything anyway.

Windows has neither user ids nor mode bits. There, access control lists do the same: Galley's files
are below the user's profile, and only the owner and administrators can open a process to read its
command line or end it. So all files and processes count as the user's there; a process that cannot
be opened has no command line that matches. A GALLEY_HOME outside the profile is protected as its
folder is.

A link counts as its target if this user or root made it: people move data to another disk.
"""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOST_LINKS = 40  # as on Linux


def user_id() -> int | None:
    """The id of the user who runs this process; None on Windows."""
    found = None
    if sys.platform != "win32":
        found = os.getuid()
    return found


def is_root() -> bool:
    return user_id() == 0


def own_ids() -> frozenset[int]:
    """The user ids of this process."""
    found: tuple[int, ...] = ()
    if sys.platform != "win32":
        found = (os.getuid(), os.geteuid())
    return frozenset(found)


def owns_process(process: "psutil.Process") -> bool:
    """Whether it runs as this user, by its real and its effective id. Raises psutil.Error."""
    owns = True
    if sys.platform != "win32":
        ids = process.uids()
        owns = own_ids().issuperset((ids.real, ids.effective))
    return owns


def check(path: str | Path, found: os.stat_result) -> None:
    """`found`: lstat of the file or link. Raises PermissionError when another user owns it."""
    if sys.platform != "win32" and found.st_uid not in own_ids() | {0}:
        raise PermissionError(errno.EACCES, f"{path} belongs to another user")


def check_file(path: Path) -> None:
    """Raises PermissionError when another user made it, or a link on the way to it;
    FileNotFoundError."""
    target(path)


def check_folder(folder: Path, others: int = OTHERS_WRITE) -> None:
    """Raises PermissionError when it is a link, belongs to another user, or when its mode has bits
    of `others`; FileNotFoundError, NotADirectoryError."""
    found = folder.lstat()
    check(folder, found)
    if stat.S_ISLNK(found.st_mode):
        raise PermissionError(errno.EACCES, f"{folder} is a link")
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is not a directory")
    if sys.platform != "win32" and found.st_mode & others:
        raise PermissionError(errno.EACCES, f"{folder} is open to other users")


def target(path: Path) -> Path:
    """The target of a link, or `path`. Raises PermissionError when another user made it, or a link
    on the path; FileNotFoundError."""
    for _ in range(MOST_LINKS):
        found = path.lstat()
        check(path, found)
        if not stat.S_ISLNK(found.st_mode):
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, f"{path} is a link to itself")
