"""Channels of an ssh connection: to a Unix socket, to a command, to a shell. Next: `ssh.py`."""

import contextlib
from collections.abc import Iterator
from typing import cast

import paramiko

from vm.guest.protocol import Size


class SshStream:
    """A channel, as `vm.guest.protocol.Stream`."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def recv(self, limit: int) -> bytes:
        with _as_os_error():
            data = self._channel.recv(limit)
        if not data and not self._channel.eof_received:
            raise ConnectionResetError("the connection to the virtual machine was lost")
        return data

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        with _as_os_error():
            while view:
                sent = self._channel.send(cast(bytes, view))
                if sent == 0:
                    raise BrokenPipeError("the connection to the virtual machine was lost")
                view = view[sent:]

    def shutdown_write(self) -> None:
        with _as_os_error():
            self._channel.shutdown_write()

    def close(self) -> None:
        with contextlib.suppress(OSError), _as_os_error():
            self._channel.close()


class SshSession(SshStream):
    """A command or a login shell in the guest. With a terminal, `recv_stderr` stays empty."""

    def recv_stderr(self, limit: int) -> bytes:
        with _as_os_error():
            return self._channel.recv_stderr(limit)

    def resize(self, size: Size) -> None:
        with _as_os_error():
            self._channel.resize_pty(size.columns, size.rows)

    def exit_status(self) -> int:
        """Blocks until it has ended; -1 when it was killed or the guest was lost."""
        return self._channel.recv_exit_status()


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """paramiko's error as the OSError of a Stream."""
    try:
        yield
    except (EOFError, paramiko.SSHException) as error:
        raise ConnectionResetError("the connection to the virtual machine was lost") from error
