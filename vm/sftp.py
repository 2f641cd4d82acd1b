"""A folder of this host, served over SFTP to the sshfs that has mounted it in the guest.

For hosts that have no virtiofs: it needs nothing but Python. SFTP (version 3, draft
02) knows no hard links, no pipes, no locks of its own, and times in seconds from 1970 to 2106 only;
all else of a file is there. Names are bytes, as in the guest. The guest asks for paths below `/`,
which is the folder. A link that leads out of it is read, never followed.

What is open outlives us: the guest has our successor open it again, by a word of our own.
May import: paramiko, `vm.guest`, `vm.types`. Next: `engine/served_folders.py`, and `sftp_line.c`
among the guest's sources, which asks.
"""

import contextlib
import errno
import os
import posixpath
import secrets
import stat
from collections.abc import Buffer, Callable
from pathlib import Path
from typing import Any, cast

import paramiko
from paramiko import SFTPAttributes
from paramiko.sftp import (
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_VERSION,
    SFTP_BAD_MESSAGE,
    SFTP_FAILURE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
)

from vm.guest import Stream
from vm.types import Share

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
LAST = (1 << 32) - 1  # second that SFTP knows
FSYNC, FSYNC_VERSION = "fsync@openssh.com", "1"
REOPEN = "reopen@galley"  # HANDLE PATH FOLDER NUMBER: flags, or how many entries are known


def serve(stream: Stream, share: Share) -> None:
    """Answer until either side ends it. Raises nothing."""
    line = _Line(stream)
    server = _Server(
        cast(paramiko.Channel, line),
        "sftp",
        cast(paramiko.ServerInterface, share),
        _Folder,
    )
    with contextlib.suppress(OSError, EOFError):
        server.start_subsystem("sftp", cast(paramiko.Transport, line), cast(Any, line))
    with contextlib.suppress(OSError):
        server.finish_subsystem()
    stream.close()


class _Line:
    """A Stream in the shape that paramiko wants: a channel and its transport in one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def recv(self, limit: int) -> bytes:
        return self._stream.recv(limit)

    def send(self, data: bytes) -> int:
        self._stream.sendall(data)
        return len(data)

    def get_transport(self) -> "_Line":
        return self

    def get_log_channel(self) -> str:
        return "paramiko"

    def get_hexdump(self) -> bool:
        return False

    def get_name(self) -> str:
        return "share"

    def close(self) -> None:
        self._stream.close()


class _Request(paramiko.Message):
    """One whose names need not be UTF-8, as those of files need not."""

    def get_text(self) -> str:
        return os.fsdecode(self.get_string())


class _Server(paramiko.SFTPServer):
    """And what is synced in the guest is on the disk: the draft has no word for it, OpenSSH has.

    A handle says which file it is of, and no other server's is the same."""

    def _process(self, kind: int, number: int, message: paramiko.Message) -> None:
        request = _Request(message.get_remainder())
        paramikos: Any = super()
        word = request.get_text() if kind == CMD_EXTENDED else ""
        if word == FSYNC:
            file = self.file_table.get(request.get_binary())
            done = file.sync() if isinstance(file, _File) else SFTP_BAD_MESSAGE
            paramikos._send_status(number, done)
        elif word == REOPEN:
            paramikos._send_status(number, self._reopen(request))
        else:
            request.rewind()
            paramikos._process(kind, number, request)

    def _send_handle_response(self, number: int, handle: Any, folder: bool = False) -> None:
        paramikos: Any = super()
        if not isinstance(handle, paramiko.SFTPHandle):
            paramikos._send_status(number, handle)
            return
        of_file = handle.identity() if isinstance(handle, _File) else b""
        name = of_file + b"-" + secrets.token_hex(8).encode()
        (self.folder_table if folder else self.file_table)[name] = handle
        paramikos._response(number, CMD_HANDLE, name)

    def _reopen(self, request: _Request) -> Any:
        """What another server has opened. Another file that has taken its place is not it."""
        name, path = request.get_binary(), request.get_text()
        is_folder, how = request.get_int(), request.get_int()
        if is_folder:
            listed = self.server.list_folder(path)
            if not isinstance(listed, list):
                return listed
            self.folder_table[name] = folder = paramiko.SFTPHandle()
            cast(Any, folder)._set_files(listed[how:])
            return SFTP_OK
        flags = cast(Any, self)._convert_pflags(how) & (os.O_WRONLY | os.O_RDWR)
        file = self.server.open(path, flags, SFTPAttributes())
        if not isinstance(file, _File):
            return file
        if file.identity() != name.partition(b"-")[0]:
            file.close()
            return SFTP_FAILURE
        self.file_table[name] = file
        return SFTP_OK

    def _send_packet(self, kind: int, packet: paramiko.Message) -> None:
        if kind == CMD_VERSION:
            packet.add_string(FSYNC)
            packet.add_string(FSYNC_VERSION)
        paramikos: Any = super()
        paramikos._send_packet(kind, packet)


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


class _Folder(paramiko.SFTPServerInterface):
    """One share. Every method answers with a value or a number of SFTP's."""

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        share = cast(Share, server)
        self._root = Path(os.path.realpath(share.host_path))
        self._read_only = share.read_only

    def _place(self, path: str) -> Path:
        """Where it is on this host. Raises PermissionError when that is outside of the folder."""
        inner = posixpath.normpath("/" + path).lstrip("/")
        if not inner:
            return self._root
        parent = Path(os.path.realpath(self._root / posixpath.dirname(inner)))
        if not parent.is_relative_to(self._root):
            raise PermissionError(errno.EACCES, "outside of the shared folder")
        return parent / posixpath.basename(inner)

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
        def opened() -> _File:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            place = self._changed(path) if writes else self._place(path)
            mode = 0o666 if attr.st_mode is None else stat.S_IMODE(attr.st_mode)
            # Where it is appended to, the guest says so by the place that it writes to.
            plain = flags & ~os.O_APPEND
            return _File(os.open(place, plain | NO_FOLLOW | BINARY, mode))

        return _answer(opened)

    def remove(self, path: str) -> Any:
        return _answer(lambda: os.unlink(self._changed(path)))

    def rename(self, oldpath: str, newpath: str) -> Any:
        """In one step, over what is there, as the guest's kernel means it."""
        return _answer(lambda: os.replace(self._changed(oldpath), self._changed(newpath)))

    posix_rename = rename

    def mkdir(self, path: str, attr: SFTPAttributes) -> Any:
        def made() -> None:
            place = self._changed(path)
            os.mkdir(place)
            if attr.st_mode is not None:
                os.chmod(place, stat.S_IMODE(attr.st_mode))

        return _answer(made)

    def rmdir(self, path: str) -> Any:
        return _answer(lambda: os.rmdir(self._changed(path)))

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
        return _answer(lambda: os.symlink(target_path, self._changed(path)))

    def canonicalize(self, path: str) -> Any:
        return os.fsencode(posixpath.normpath("/" + path))


class _File(paramiko.SFTPHandle):
    """An open file; one thread reads and writes, the one that serves the share."""

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle = handle

    def identity(self) -> bytes:
        """Of the file, whatever it is called. A disk may have another number on another day."""
        return f"{os.fstat(self._handle).st_ino:x}".encode()

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
