"""Finds files below a folder without following links out of it, and never a private folder.

Where the system has openat(2) and O_NOFOLLOW, every directory of the path is opened from the one
above, and no link is followed at all, so other processes may rename anything meanwhile. Elsewhere
(Windows) paths are resolved and compared before use, and the opened file is compared after. Next:
`vm/sftp/folder.py`.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import NamedTuple

from vm.host import private_folders
from vm.host.private_folders import Identities

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
DIRECTORY = getattr(os, "O_DIRECTORY", 0)
SEARCH = getattr(os, "O_PATH", 0)  # enters a directory that may not be read; Linux only
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a FIFO would block the thread
BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
BY_DESCRIPTOR = bool(NO_FOLLOW) and os.open in os.supports_dir_fd and os.scandir in os.supports_fd


class PathAt(NamedTuple):
    """Arguments for functions of `os`: `name`, relative to the open directory `at` (`dir_fd`). A
    full path and None where the system has no such calls."""

    name: str
    at: int | None


@contextlib.contextmanager
def find(root: Path, parts: Sequence[str], private: Identities) -> Iterator[PathAt]:
    """The place below `root`, which has no links itself; "." and ".." are not allowed in `parts`.
    It need not exist. Raises OSError, PermissionError when it is private or a link is on the
    path."""
    if not BY_DESCRIPTOR:
        yield _find_by_name(root, parts, private)
        return
    at = _enter(root, parts[:-1], private)
    try:
        place = PathAt(parts[-1] if parts else ".", at)
        with contextlib.suppress(FileNotFoundError):
            _refuse_private(see(place), private)
        yield place
    finally:
        os.close(at)


def see(place: PathAt) -> os.stat_result:
    """lstat. Raises OSError."""
    return os.stat(place.name, dir_fd=place.at, follow_symlinks=False)


def is_link(place: PathAt) -> bool:
    return stat.S_ISLNK(see(place).st_mode) or (place.at is None and os.path.isjunction(place.name))


def open_file(place: PathAt, flags: int, mode: int = 0o666) -> int:
    """A descriptor of a regular file. Raises OSError for links and anything else."""
    if not NO_FOLLOW:
        with contextlib.suppress(FileNotFoundError):
            _refuse_link(place)
    # Truncated only after the check that it is the right file.
    empties = not NO_FOLLOW and flags & os.O_TRUNC
    plain = (flags & ~os.O_TRUNC if empties else flags) | NO_FOLLOW | NO_WAIT | BINARY
    handle = os.open(place.name, plain, mode, dir_fd=place.at)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError(errno.EACCES, "not a regular file")
        if not NO_FOLLOW:
            _refuse_another(place, found)
        if empties:
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


class Entries:
    """The entries of a folder, read one by one. Holds `DESCRIPTORS` open files until `close`."""

    DESCRIPTORS = 2  # scandir(3) has one of its own

    def __init__(self, place: PathAt) -> None:
        """Raises OSError, also for a link."""
        self._handle: int | None = None
        if place.at is None:
            _refuse_link(place)
            before = see(place)
            self._entries = os.scandir(place.name)
        else:
            flags = os.O_RDONLY | DIRECTORY | NO_FOLLOW
            self._handle = os.open(place.name, flags, dir_fd=place.at)
        try:
            if self._handle is None:
                _refuse_another(place, before)
            else:
                self._entries = os.scandir(self._handle)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return self._entries

    def close(self) -> None:
        """Call it at most once."""
        if hasattr(self, "_entries"):
            self._entries.close()
        if self._handle is not None:
            os.close(self._handle)


def change_mode(place: PathAt, mode: int) -> None:
    """Change the mode, but not of a link. Raises OSError."""
    if place.at is None:
        _refuse_link(place)
        os.chmod(place.name, mode)
        return
    try:
        os.chmod(place.name, mode, dir_fd=place.at, follow_symlinks=False)
    except (ValueError, NotImplementedError) as error:  # Python's errors for ENOTSUP: a link
        raise PermissionError(errno.EACCES, "a link") from error


def change_times(place: PathAt, times: tuple[float, float]) -> None:
    follows = os.utime not in os.supports_follow_symlinks  # Windows
    os.utime(place.name, times, dir_fd=place.at, follow_symlinks=follows)


def _enter(root: Path, parts: Sequence[str], private: Identities) -> int:
    """A descriptor of the directory."""
    start, steps = str(root), [*parts]
    if SEARCH:
        start, steps = root.anchor, [*root.parts[1:], *parts]
    else:
        _refuse_moved(root, private)
    at = os.open(start, SEARCH | DIRECTORY | NO_FOLLOW)
    try:
        for step in steps:
            below = _step(step, at)
            os.close(at)
            at = below
            _refuse_private(os.fstat(at), private)
    except BaseException:
        os.close(at)
        raise
    return at


def _step(name: str, at: int) -> int:
    try:
        return os.open(name, SEARCH | DIRECTORY | NO_FOLLOW, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP) and is_link(PathAt(name, at)):
            raise PermissionError(errno.EACCES, "behind a link") from error
        raise


def _find_by_name(root: Path, parts: Sequence[str], private: Identities) -> PathAt:
    _refuse_moved(root, private)
    if not all(map(is_one_name, parts)):
        raise PermissionError(errno.EACCES, "not a name here")
    if not parts:
        return PathAt(str(root), None)
    parent = Path(os.path.realpath(root.joinpath(*parts[:-1])))
    if not parent.is_relative_to(root):
        raise PermissionError(errno.EACCES, "outside of the shared folder")
    place = parent / parts[-1]
    if private_folders.holds(place, private):
        raise PermissionError(errno.EACCES, "private")
    return PathAt(str(place), None)


def is_one_name(part: str, kind: type[PurePath] = PurePath) -> bool:
    r"""Whether it is a single name here: on Windows `..\x`, `C:` and `file:stream` are not."""
    path = kind(part)
    return path.name == part and not (isinstance(path, PureWindowsPath) and ":" in part)


def _refuse_moved(root: Path, private: Identities) -> None:
    if Path(os.path.realpath(root)) != root:
        raise PermissionError(errno.EACCES, "a link has taken the place of the folder")
    if private_folders.holds(root, private):
        raise PermissionError(errno.EACCES, "private")


def _refuse_private(seen: os.stat_result, private: Identities) -> None:
    if (seen.st_dev, seen.st_ino) in private:
        raise PermissionError(errno.EACCES, "private")


def _refuse_link(place: PathAt) -> None:
    if is_link(place):
        raise PermissionError(errno.EACCES, "a link")


def _refuse_another(place: PathAt, found: os.stat_result) -> None:
    """Raise if another file, or a link, has replaced it."""
    _refuse_link(place)
    if not os.path.samestat(see(place), found):
        raise PermissionError(errno.EACCES, "a link was followed")
