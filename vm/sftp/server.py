"""Serves a folder of this host over SFTP to the sshfs that has mounted it in the guest.

For hosts without virtiofs: it needs nothing but Python. Names are bytes, as in the guest.

Open files outlive a supervisor: the guest makes the next one reopen them, and replays requests that
were not answered, with two requests of Galley's own. Next: `folder.py` (the files),
`engine/shares/sftp_shares.py`, and the guest's `sftp_line.c`, which replays.
"""

import contextlib
import os
import secrets
import struct
from typing import Any, cast

import paramiko
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_VERSION,
    SFTP_BAD_MESSAGE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTPError,
)

from vm.guest.protocol import Stream
from vm.host.open_files import Budget
from vm.sftp.folder import File, Folder, Listing, Served
from vm.types import Share

FSYNC, FSYNC_VERSION = "fsync@openssh.com", "1"
REOPEN = "reopen@galley"  # HANDLE PATH FOLDER NUMBER: flags, or how many entries are known
AGAIN = "again@galley"  # a replayed request: its kind, and what follows its number
VERSION = 3
CHECK_FILE = "check-file"  # paramiko's: one request may hash for hours, or forever after the end
LONGEST_PACKET = 512 << 10  # bytes; sshfs sends up to 64 KiB in one
LONGEST_NAME = 64  # bytes, of a handle; ours are shorter


def serve(
    stream: Stream,
    share: Share,
    private: tuple[str, ...] = (),
    budget: Budget | None = None,
    id_offset: int = 0,
) -> None:
    """Answer requests until either side ends; those for folders in `private` are refused. Several
    shares may use one `budget`. The share's path has no links: one that appears later is not
    followed. Raises nothing."""
    channel = _ParamikoChannel(stream)
    server = _Server(
        cast(paramiko.Channel, channel),
        "sftp",
        cast(paramiko.ServerInterface, Served(share, private, budget or Budget(), id_offset)),
        Folder,
    )
    with contextlib.suppress(OSError, EOFError, SFTPError, struct.error):
        server.start_subsystem("sftp", cast(paramiko.Transport, channel), cast(Any, channel))
    with contextlib.suppress(OSError):
        server.finish_subsystem()
    stream.close()


class _ParamikoChannel:
    """A Stream as paramiko needs it: a channel and its transport in one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._is_cut = False

    def recv(self, limit: int) -> bytes:
        """Returns the end of the stream once an answer could not be sent."""
        return b"" if self._is_cut else self._stream.recv(limit)

    def send(self, data: bytes) -> int:
        try:
            self._stream.sendall(data)
        except OSError:
            self._is_cut = True
            raise
        return len(data)

    def get_transport(self) -> "_ParamikoChannel":
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
    """A request whose names need not be UTF-8."""

    def get_bytes(self, n: int) -> bytes:
        """Raises SFTPError where fewer are left: paramiko would pad with zeros, up to 2^32."""
        found = self.packet.read(n)
        if len(found) < n:
            raise SFTPError("a request is too short")
        return found

    def get_text(self) -> str:
        return os.fsdecode(self.get_string())


class _Server(paramiko.SFTPServer):
    """fsync in the guest syncs the file here: the draft has no request for it, OpenSSH has one.

    A handle identifies its file and is never equal to a handle of another server.
    """

    server: Folder

    def _process(self, kind: int, number: int, message: paramiko.Message) -> None:
        request = _Request(message.get_remainder())
        base: Any = super()
        word = request.get_text() if kind == CMD_EXTENDED else ""
        if word == FSYNC:
            file = self.file_table.get(request.get_binary())
            done = file.sync() if isinstance(file, File) else SFTP_BAD_MESSAGE
            base._send_status(number, done)
        elif word == REOPEN:
            base._send_status(number, self._reopen(request))
        elif word == CHECK_FILE:
            base._send_status(number, SFTP_OP_UNSUPPORTED)
        elif kind == CMD_CLOSE and (folder := self.folder_table.pop(request.get_binary(), None)):
            folder.close()
            base._send_status(number, SFTP_OK)
        elif word == AGAIN and not self.server.again:
            self.server.again = True
            try:
                self._process(request.get_byte()[0], number, request)
            finally:
                self.server.again = False
        else:
            request.rewind()
            base._process(kind, number, request)

    def _open_folder(self, number: int, path: str) -> None:
        self._send_handle_response(number, self.server.list_folder(path), True)

    def _send_handle_response(self, number: int, handle: Any, folder: bool = False) -> None:
        base: Any = super()
        if not isinstance(handle, paramiko.SFTPHandle):
            base._send_status(number, handle)
            return
        of_file = handle.identity() if isinstance(handle, File) else ""
        name = f"{of_file}-{secrets.token_hex(8)}".encode()
        (self.folder_table if folder else self.file_table)[name] = handle
        base._response(number, CMD_HANDLE, name)

    def _reopen(self, request: _Request) -> Any:
        """Reopen a file of an earlier server. Fails if another file has replaced it."""
        name, path = request.get_binary(), request.get_text()
        is_folder, how = request.get_int(), request.get_int()
        if len(name) > LONGEST_NAME or name in self.file_table or name in self.folder_table:
            return SFTP_BAD_MESSAGE
        if is_folder:
            folder = self.server.list_folder(path, how)
            if not isinstance(folder, Listing):
                return folder
            self.folder_table[name] = folder
            return SFTP_OK
        flags = cast(Any, self)._convert_pflags(how) & (os.O_WRONLY | os.O_RDWR)
        file = self.server.reopen(path, flags, name.partition(b"-")[0].decode("ascii", "replace"))
        if not isinstance(file, File):
            return file
        self.file_table[name] = file
        return SFTP_OK

    def _read_all(self, size: int) -> bytes:
        """Read a packet, or its length. Raises EOFError, which ends the connection."""
        if size > LONGEST_PACKET:
            raise EOFError
        base: Any = super()
        return cast(bytes, base._read_all(size))

    def _send_packet(self, kind: int, packet: paramiko.Message) -> None:
        if kind == CMD_VERSION:
            packet = paramiko.Message()
            packet.add_int(VERSION)
            packet.add_string(FSYNC)
            packet.add_string(FSYNC_VERSION)
        base: Any = super()
        base._send_packet(kind, packet)
