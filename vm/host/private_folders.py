"""Folders that are never served to a guest: Galley's homes, with keys in them, and its sockets.

They may lie in a shared folder (the user's home, /tmp). Binding them is refused, and whatever
serves a folder around them leaves them out. Next: `vm/backends/qemu/shares/virtiofsd.py`,
`vm/sftp/folder.py`, `engine/shares/binds.py`.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from vm.host import ownership
from vm.host.paths import RUN_PREFIX, Home, default_root, home_at, run_bases

type Identities = frozenset[tuple[int, int]]


def of(home: Home) -> tuple[str, ...]:
    """Those that exist, with links resolved: of this home, of the default one, and the run
    directories of this user's other homes, which are not known."""
    default = home_at(default_root())
    known = [home.root, home.run, default.root, default.run]
    for folder in run_bases():
        named = folder.glob(RUN_PREFIX + "[0-9a-f]" * 12)
        known += (path for path in named if _is_own(path))
    real = {Path(os.path.realpath(path)) for path in known if os.path.isdir(path)}
    return tuple(sorted(str(path) for path in real if real.isdisjoint(path.parents)))


def _is_own(path: Path) -> bool:
    """Another user could make a link of that name, to anywhere."""
    try:
        ownership.check_folder(path, others=0)
    except OSError:
        return False
    return True


def inside(folder: str, private: Iterable[str]) -> tuple[str, ...]:
    """Those that lie below `folder`."""
    return tuple(path for path in private if Path(folder) in Path(path).parents)


def identities(private: Iterable[str]) -> Identities:
    """Their device and inode numbers, valid also when a folder around them is renamed."""
    return frozenset(filter(None, map(_identity, private)))


def holds(path: str | Path, private: Identities) -> bool:
    """Whether `path`, which has no links, is one of them or lies below one. Compares identities,
    for a file system may accept several spellings of one name."""
    return any(_identity(each) in private for each in (path, *Path(path).parents))


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        seen = os.stat(path, follow_symlinks=False)
    except (OSError, ValueError):
        return None
    return seen.st_dev, seen.st_ino
