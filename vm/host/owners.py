"""Checks the owner of a path in folders where every user may create files, such as /tmp.

Such a folder is sticky: only the owner of an entry can replace it. So a path is the user's own if,
in every such folder on the path, the next part is. Below that, others write only where the user
permits it. Windows has no such folders. Next: `engine/shares/binds.py`.
"""

import contextlib
import os
import stat
from pathlib import PurePath

from vm.errors import HostError
from vm.host import lent_ids, ownership

LINKS = 40  # that Linux follows, too
MODE = 0o755  # of a folder that dockerd makes


def foreign(path: str, *, make: bool = False) -> str | None:
    """The first part of an absolute path that belongs to another user, in a folder where every user
    may create one; links and their targets are checked. None: there is none.

    `make`: create a missing part there as the user's folder, before another user can.
    """
    if ownership.user_id() is None:
        return None
    here, ahead, links = PurePath("/"), list(reversed(PurePath(path).parts[1:])), 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            here = here.parent
            continue
        there = here / name
        shared = _is_world_writable(here)
        if shared and make:
            with contextlib.suppress(OSError):  # it usually exists
                os.mkdir(there, MODE)
        try:
            seen = os.lstat(there)
            target = PurePath(os.readlink(there)) if stat.S_ISLNK(seen.st_mode) else None
        except (OSError, ValueError):
            return str(there) if shared else None  # any user may create it
        if shared and not _is_ours(seen.st_uid):
            return str(there)
        if target is not None and links < LINKS:
            links += 1
            ahead += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            here = PurePath("/") if target.is_absolute() else here
            continue
        here = there
    return None


def _is_world_writable(folder: PurePath) -> bool:
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)


def _is_ours(owner: int) -> bool:
    """Of the user, or one of the user's subordinate ids."""
    if owner == ownership.user_id():
        return True
    if ownership.is_root():
        return False
    try:
        lent = lent_ids.find().users
    except HostError:
        return False
    return any(each.outside <= owner < each.outside + each.count for each in lent)
