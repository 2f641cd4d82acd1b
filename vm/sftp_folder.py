"""The files of a folder that is served over SFTP: `sftp.py` hears what is asked of them.

SFTP (version 3, draft 02) knows no hard links, no pipes, no locks of its own, and times in seconds
from 1970 to 2106 only; all else of a file is there. The guest asks for paths below `/`, which is
the folder. A link that leads out of it is read, never followed.
May import: paramiko, `vm.host`, `vm.types`. Next: `host/file_identity.py`.
"""

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Buffer, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import paramiko
from paramiko import SFTPAttributes
from paramiko.sftp import SFTP_OK, SFTP_OP_UNSUPPORTED, SFTP_PERMISSION_DENIED

from vm.host import file_identity, private_folders
from vm.types import Share

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
LAST = (1 << 32) - 1  # second that SFTP knows


class _Entry(SFTPAttributes):
    """Of a folder. sshfs does not read the line that `ls -l` would have for it."""

    def asbytes(self) -> bytes:
        return b""


def _attributes[A: SFTPAttributes](seen: os.stat_result, kind: type[A]) -> A:
    found = kind.from_stat(seen)
    found.st_atime = min(max(0, int(seen.st_atime)), LAST)
    found.st_mtime = min(max(0, int(seen.st_mtime)), LAST)
    return found


def _answer(work: Callable[[], Any]) -> Any:
    """What `work` gives, or the number that SFTP has for what went wrong."""
    try:
        done = work()
    except OSError as error:
        if error.errno == errno.EROFS:
            return SFTP_PERMISSION_DENIED
        return paramiko.SFTPServer.convert_errno(error.errno or 0)
    return SFTP_OK if done is None else done


class Served(NamedTuple):
    """`private`: folders of this host that nobody in the guest may enter."""

    share: Share
    private: tuple[str, ...]


class Folder(paramiko.SFTPServerInterface):
    """One share. Every method answers with a value or a number of SFTP's. `again`: what is asked
    was asked before, and may have been done; then it is found done, and right."""

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        share, private = cast(Served, server)
        self._private = private_folders.identities(private)
        self._root = Path(os.path.realpath(share.host_path))
        self._read_only = share.read_only
        self.again = False

    def _place(self, path: str) -> Path:
        """Where it is on this host. Raises PermissionError when that is outside of the folder, or
        private."""
        inner = posixpath.normpath("/" + path).lstrip("/")
        if not inner:
            return self._root
        parent = Path(os.path.realpath(self._root / posixpath.dirname(inner)))
        if not parent.is_relative_to(self._root):
            raise PermissionError(errno.EACCES, "outside of the shared folder")
        place = parent / posixpath.basename(inner)
        if private_folders.holds(place, self._private):
            raise PermissionError(errno.EACCES, "private")
        return place

    def _changed(self, path: str) -> Path:
        """As `_place`, for what is to be changed."""
        if self._read_only:
            raise OSError(errno.EROFS, "shared for reading only")
        return self._place(path)

    def lstat(self, path: str) -> Any:
        return _answer(lambda: _attributes(os.lstat(self._place(path)), SFTPAttributes))

    stat = lstat  # the guest's kernel follows links by itself

    def list_folder(self, path: str) -> Any:
        def listed() -> list[_Entry]:
            with os.scandir(self._place(path)) as entries:
                return [found for entry in entries if (found := _described(entry)) is not None]

        return _answer(listed)

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> Any:
        def opened() -> File:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            place = self._changed(path) if writes else self._place(path)
            mode = 0o666 if attr.st_mode is None else stat.S_IMODE(attr.st_mode)
            # Where it is appended to, the guest says so by the place that it writes to.
            plain = flags & ~os.O_APPEND | NO_FOLLOW | BINARY
            try:
                return File(os.open(place, plain, mode))
            except FileExistsError:
                if not self.again or os.lstat(place).st_size:  # nobody has written to what we made
                    raise
            return File(os.open(place, plain & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)))

        return _answer(opened)

    def reopen(self, path: str, flags: int, identity: str) -> Any:
        """The file that was open by that name, whatever its mode lets us do now: who makes one that
        nobody may write can write it as long as it is open."""

        def opened() -> File:
            place = self._changed(path) if flags else self._place(path)
            mode = os.lstat(place).st_mode
            try:
                file = File(os.open(place, flags | NO_FOLLOW | BINARY))
            except PermissionError:
                if not stat.S_ISREG(mode):
                    raise
                os.chmod(place, stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)
                try:
                    file = File(os.open(place, flags | NO_FOLLOW | BINARY))
                finally:
                    os.chmod(place, stat.S_IMODE(mode))
            if file.identity() != identity:
                file.close()
                raise FileNotFoundError(errno.ENOENT, "another file is in its place")
            return file

        return _answer(opened)

    def remove(self, path: str) -> Any:
        return _answer(lambda: self._gone(os.unlink, self._changed(path)))

    def _gone(self, remove: Callable[[Path], None], place: Path) -> None:
        try:
            remove(place)
        except FileNotFoundError:
            if not self.again:
                raise

    def rename(self, oldpath: str, newpath: str) -> Any:
        """In one step, over what is there, as the guest's kernel means it."""

        def renamed() -> None:
            old, new = self._changed(oldpath), self._changed(newpath)
            try:
                os.replace(old, new)
            except FileNotFoundError:
                if not self.again or not os.path.lexists(new):
                    raise

        return _answer(renamed)

    posix_rename = rename

    def mkdir(self, path: str, attr: SFTPAttributes) -> Any:
        def made() -> None:
            place = self._changed(path)
            try:
                os.mkdir(place)
            except FileExistsError:
                if not self.again or not place.is_dir() or any(place.iterdir()):
                    raise
            if attr.st_mode is not None:
                os.chmod(place, stat.S_IMODE(attr.st_mode))

        return _answer(made)

    def rmdir(self, path: str) -> Any:
        return _answer(lambda: self._gone(os.rmdir, self._changed(path)))

    def chattr(self, path: str, attr: SFTPAttributes) -> Any:
        def changed() -> None:
            place = self._changed(path)
            if os.path.islink(place):
                raise PermissionError(errno.EACCES, "a link")
            _change(str(place), attr)

        return _answer(changed)

    def readlink(self, path: str) -> Any:
        return _answer(lambda: os.fsencode(os.readlink(self._place(path))))

    def symlink(self, target_path: str, path: str) -> Any:
        def made() -> None:
            place = self._changed(path)
            try:
                os.symlink(target_path, place)
            except FileExistsError:
                if not self.again or os.readlink(place) != target_path:
                    raise

        return _answer(made)

    def canonicalize(self, path: str) -> Any:
        return os.fsencode(posixpath.normpath("/" + path))


class File(paramiko.SFTPHandle):
    """An open file; one thread reads and writes, the one that serves the share."""

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle = handle

    def identity(self) -> str:
        return file_identity.of(self._handle)

    def read(self, offset: int, length: int) -> Any:
        def some() -> bytes:
            os.lseek(self._handle, offset, os.SEEK_SET)
            return os.read(self._handle, length)

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
        return _answer(lambda: _attributes(os.fstat(self._handle), SFTPAttributes))

    def chattr(self, attr: SFTPAttributes) -> Any:
        if os.name == "nt" and attr.st_size is None:
            return SFTP_OP_UNSUPPORTED  # Windows changes these by name only
        return _answer(lambda: _change(self._handle, attr))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._handle)


def _described(entry: os.DirEntry[str]) -> _Entry | None:
    """None when it has gone meanwhile."""
    try:
        found = _attributes(entry.stat(follow_symlinks=False), _Entry)
    except FileNotFoundError:
        return None
    found.filename = cast(Any, os.fsencode(entry.name))
    return found


def _change(place: str | int, attr: SFTPAttributes) -> None:
    """Size, owner, mode and times, as far as they are given. Raises OSError."""
    if attr.st_size is not None:
        os.truncate(place, attr.st_size)
    if attr.st_uid is not None and hasattr(os, "chown"):
        # Only root may give a file away. Elsewhere all that containers make is the user's.
        with contextlib.suppress(PermissionError):
            os.chown(place, attr.st_uid, -1 if attr.st_gid is None else attr.st_gid)
    if attr.st_mode is not None and os.name != "nt":
        os.chmod(place, stat.S_IMODE(attr.st_mode))
    if attr.st_atime is not None and attr.st_mtime is not None:
        os.utime(place, (attr.st_atime, attr.st_mtime))
