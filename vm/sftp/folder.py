"""The files of a folder that is served over SFTP; `server.py` receives the requests.

SFTP (version 3, draft 02) has no hard links, pipes or locks, and times in seconds from 1970 to 2106
only. The guest requests paths below `/`, which is the folder, and resolves links itself: here they
are read, never followed. The guest is not trusted: the size of an answer and the number of open
files are limited. Next: `vm/host/beneath.py`, `vm/host/file_identity.py`.
"""

import contextlib
import errno
import os
import posixpath
import stat
import sys
from collections.abc import Buffer, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import paramiko
from paramiko import SFTPAttributes
from paramiko.sftp import SFTP_OK, SFTP_OP_UNSUPPORTED, SFTP_PERMISSION_DENIED

from vm.host import beneath, file_identity, private_folders, remapped_ids
from vm.host.beneath import PathAt
from vm.host.open_files import Budget
from vm.types import Share

MOST_READ = 256 << 10  # bytes in one answer
MOST_LISTED = 100  # entries in one answer
LAST = (1 << 32) - 1  # the last second that SFTP can express


class _Entry(SFTPAttributes):
    """An entry of a folder, without the `ls -l` line, which sshfs ignores."""

    def asbytes(self) -> bytes:
        return b""


def _attributes[A: SFTPAttributes](seen: os.stat_result, kind: type[A], offset: int) -> A:
    found = kind.from_stat(seen)
    found.st_uid = remapped_ids.in_guest(seen.st_uid, offset)
    found.st_gid = remapped_ids.in_guest(seen.st_gid, offset)
    found.st_atime = min(max(0, int(seen.st_atime)), LAST)
    found.st_mtime = min(max(0, int(seen.st_mtime)), LAST)
    return found


def _answer(work: Callable[[], Any]) -> Any:
    """The result of `work`, or SFTP's error number."""
    try:
        done = work()
    except OSError as error:
        if error.errno == errno.EROFS:
            return SFTP_PERMISSION_DENIED
        return paramiko.SFTPServer.convert_errno(error.errno or 0)
    return SFTP_OK if done is None else done


class Served(NamedTuple):
    """`private`: folders of this host that the guest may not enter. `budget`: of all shares.
    `id_offset`: `vm/host/remapped_ids.py`."""

    share: Share
    private: tuple[str, ...]
    budget: Budget
    id_offset: int


class Folder(paramiko.SFTPServerInterface):
    """One share. Every method returns a value or an SFTP error number. `again`: a replayed request,
    which may have been done already; then it succeeds."""

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        share, private, self._budget, self._offset = cast(Served, server)
        self._private = private_folders.identities(private)
        self._root = Path(share.host_path)
        self._read_only = share.read_only
        self.again = False

    def _place(self, path: str) -> contextlib.AbstractContextManager[PathAt]:
        """The path on this host. Raises OSError, PermissionError outside of the folder or when
        private."""
        inner = posixpath.normpath("/" + path).lstrip("/")
        return beneath.find(self._root, inner.split("/") if inner else (), self._private)

    def _changed(self, path: str) -> contextlib.AbstractContextManager[PathAt]:
        """As `_place`, for requests that change something."""
        if self._read_only:
            raise OSError(errno.EROFS, "shared for reading only")
        return self._place(path)

    def lstat(self, path: str) -> Any:
        def seen() -> SFTPAttributes:
            with self._place(path) as place:
                return _attributes(beneath.see(place), SFTPAttributes, self._offset)

        return _answer(seen)

    stat = lstat  # the guest's kernel follows links by itself

    def list_folder(self, path: str, known: int = 0) -> Any:
        """Without the first `known` entries, which the guest has already."""

        def listed() -> Listing:
            with self._place(path) as place:
                return Listing(place, self._budget, self._offset, known)

        return _answer(listed)

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> Any:
        def opened() -> File:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            mode = 0o666 if attr.st_mode is None else stat.S_IMODE(attr.st_mode)
            # To append, the guest writes at the end: each of its writes has an offset.
            plain = flags & ~os.O_APPEND
            with self._changed(path) if writes else self._place(path) as place:
                try:
                    return File(place, plain, self._budget, self._offset, mode)
                except FileExistsError:
                    # The new file is still empty.
                    if not self.again or beneath.see(place).st_size:
                        raise
                plain &= ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)
                return File(place, plain, self._budget, self._offset)

        return _answer(opened)

    def reopen(self, path: str, flags: int, identity: str) -> Any:
        """The file that was open at that path, whatever its mode is now: a read-only file stays
        writable for the program that created it."""

        def opened() -> File:
            with self._changed(path) if flags else self._place(path) as place:
                file = self._open_whatever_its_mode(place, flags)
            if file.identity() != identity:
                file.close()
                raise FileNotFoundError(errno.ENOENT, "another file is in its place")
            return file

        return _answer(opened)

    def _open_whatever_its_mode(self, place: PathAt, flags: int) -> "File":
        mode = beneath.see(place).st_mode
        try:
            return File(place, flags, self._budget, self._offset)
        except PermissionError:
            if not stat.S_ISREG(mode):
                raise
        beneath.change_mode(place, stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)
        try:
            return File(place, flags, self._budget, self._offset)
        finally:
            beneath.change_mode(place, stat.S_IMODE(mode))

    def remove(self, path: str) -> Any:
        return _answer(lambda: self._remove(os.unlink, path))

    def rmdir(self, path: str) -> Any:
        return _answer(lambda: self._remove(os.rmdir, path))

    def _remove(self, remove: Callable[..., None], path: str) -> None:
        with self._changed(path) as place:
            try:
                remove(place.name, dir_fd=place.at)
            except FileNotFoundError:
                if not self.again:
                    raise

    def rename(self, oldpath: str, newpath: str) -> Any:
        """Atomic, replacing an existing file, as rename(2)."""

        def renamed() -> None:
            with self._changed(oldpath) as old, self._changed(newpath) as new:
                try:
                    os.replace(old.name, new.name, src_dir_fd=old.at, dst_dir_fd=new.at)
                except FileNotFoundError:
                    if not self.again:
                        raise
                    beneath.see(new)

        return _answer(renamed)

    posix_rename = rename

    def mkdir(self, path: str, attr: SFTPAttributes) -> Any:
        def made() -> None:
            with self._changed(path) as place:
                try:
                    os.mkdir(place.name, dir_fd=place.at)
                except FileExistsError:
                    if not self.again or not _is_empty_folder(place):
                        raise
                if attr.st_mode is not None:
                    beneath.change_mode(place, stat.S_IMODE(attr.st_mode))

        return _answer(made)

    def chattr(self, path: str, attr: SFTPAttributes) -> Any:
        def changed() -> None:
            with self._changed(path) as place:
                if beneath.is_link(place):
                    raise PermissionError(errno.EACCES, "a link")
                _change(place, attr, self._offset)

        return _answer(changed)

    def readlink(self, path: str) -> Any:
        def read() -> bytes:
            with self._place(path) as place:
                return os.fsencode(os.readlink(place.name, dir_fd=place.at))

        return _answer(read)

    def symlink(self, target_path: str, path: str) -> Any:
        def made() -> None:
            with self._changed(path) as place:
                try:
                    os.symlink(target_path, place.name, dir_fd=place.at)
                except FileExistsError:
                    if not self.again or os.readlink(place.name, dir_fd=place.at) != target_path:
                        raise

        return _answer(made)

    def canonicalize(self, path: str) -> Any:
        return os.fsencode(posixpath.normpath("/" + path))


class Listing(paramiko.SFTPHandle):
    """An open folder. It is read as the guest requests entries, so that a large one is never whole
    in memory."""

    def __init__(self, place: PathAt, budget: Budget, offset: int, known: int) -> None:
        super().__init__()
        self._offset = offset
        self._budget = budget
        budget.take(beneath.Entries.DESCRIPTORS)
        try:
            self._entries = beneath.Entries(place)
        except BaseException:
            budget.give_back(beneath.Entries.DESCRIPTORS)
            raise
        self._described = islice(self._describe(), known, None)

    def _describe(self) -> Iterator[_Entry]:
        for entry in self._entries:
            try:
                found = _attributes(entry.stat(follow_symlinks=False), _Entry, self._offset)
            except FileNotFoundError:  # it was removed meanwhile
                continue
            found.filename = cast(Any, os.fsencode(entry.name))
            yield found

    def _get_next_files(self) -> list[_Entry]:
        """paramiko calls this."""
        return list(islice(self._described, MOST_LISTED))

    def close(self) -> None:
        """Call it at most once."""
        self._entries.close()
        self._budget.give_back(beneath.Entries.DESCRIPTORS)


class File(paramiko.SFTPHandle):
    """An open file. Used only by the thread that serves the share."""

    def __init__(
        self, place: PathAt, flags: int, budget: Budget, offset: int, mode: int = 0o666
    ) -> None:
        """Raises OSError."""
        super().__init__()
        self._offset = offset
        self._budget = budget
        budget.take(1)
        try:
            self._handle = beneath.open_file(place, flags, mode)
        except BaseException:
            budget.give_back(1)
            raise

    def identity(self) -> str:
        return file_identity.of(self._handle)

    def read(self, offset: int, length: int) -> Any:
        def some() -> bytes:
            os.lseek(self._handle, offset, os.SEEK_SET)
            return os.read(self._handle, min(length, MOST_READ))

        return _answer(some)

    def write(self, offset: int, data: Buffer) -> Any:
        def wrote() -> None:
            os.lseek(self._handle, offset, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(self._handle, view) :]

        return _answer(wrote)

    def sync(self) -> Any:
        return _answer(lambda: os.fsync(self._handle))

    def stat(self) -> Any:
        return _answer(lambda: _attributes(os.fstat(self._handle), SFTPAttributes, self._offset))

    def chattr(self, attr: SFTPAttributes) -> Any:
        if sys.platform == "win32" and attr.st_size is None:
            return SFTP_OP_UNSUPPORTED  # Windows changes these by name only
        return _answer(lambda: _change_open(self._handle, attr, self._offset))

    def close(self) -> None:
        """Call it at most once."""
        with contextlib.suppress(OSError):
            os.close(self._handle)
        self._budget.give_back(1)


def _is_empty_folder(place: PathAt) -> bool:
    if not stat.S_ISDIR(beneath.see(place).st_mode):
        return False
    entries = beneath.Entries(place)
    try:
        return next(iter(entries), None) is None
    finally:
        entries.close()


def _change(place: PathAt, attr: SFTPAttributes, offset: int) -> None:
    """Set size, owner, mode and times, where given. Raises OSError."""
    if attr.st_size is not None:
        handle = beneath.open_file(place, os.O_WRONLY)
        try:
            os.ftruncate(handle, attr.st_size)
        finally:
            os.close(handle)
    if attr.st_uid is not None and hasattr(os, "chown"):
        # Only root may change owners. Otherwise the user owns all files that containers create.
        with contextlib.suppress(PermissionError):
            owner = _owner(attr, offset)
            os.chown(place.name, *owner, dir_fd=place.at, follow_symlinks=False)
    if attr.st_mode is not None and sys.platform != "win32":
        beneath.change_mode(place, stat.S_IMODE(attr.st_mode))
    if attr.st_atime is not None and attr.st_mtime is not None:
        beneath.change_times(place, (attr.st_atime, attr.st_mtime))


def _owner(attr: SFTPAttributes, offset: int) -> tuple[int, int]:
    """User and group on this host. -1: the group stays."""
    user = remapped_ids.on_host(attr.st_uid or 0, offset)
    return user, -1 if attr.st_gid is None else remapped_ids.on_host(attr.st_gid, offset)


def _change_open(handle: int, attr: SFTPAttributes, offset: int) -> None:
    """As `_change`."""
    if attr.st_size is not None:
        os.ftruncate(handle, attr.st_size)
    if attr.st_uid is not None and hasattr(os, "fchown"):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, *_owner(attr, offset))
    if attr.st_mode is not None and sys.platform != "win32":
        os.fchmod(handle, stat.S_IMODE(attr.st_mode))
    if attr.st_atime is not None and attr.st_mtime is not None:
        os.utime(handle, (attr.st_atime, attr.st_mtime))
