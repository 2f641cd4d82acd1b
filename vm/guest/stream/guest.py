"""A guest with an agent stream: sockets by channels, everything else by ssh.

Where the agent does not answer, sockets go by ssh too. Next: `kept.py`, `vm/guest/protocol.py`.
"""

from vm.errors import GuestUnreachable
from vm.guest.protocol import Session, SessionGuest, Size, Stream
from vm.guest.stream.frames import VERSION
from vm.guest.stream.kept import KeptStream
from vm.host.process import Completed


class StreamGuest:
    """See `vm.guest.protocol.SessionGuest`, `AgentGuest`."""

    def __init__(self, stream: KeptStream, ssh: SessionGuest) -> None:
        self._stream = stream
        self._ssh = ssh

    def connect(self, deadline: float) -> None:
        try:
            self._stream.connect(deadline)
        except GuestUnreachable as error:
            if not _is_silent(error):
                raise
            self._ssh.connect(deadline)

    def dial(self, socket_path: str) -> Stream:
        try:
            return self._stream.open(socket_path)
        except GuestUnreachable as error:
            if not _is_silent(error):
                raise
            return self._ssh.dial(socket_path)

    @property
    def is_outdated(self) -> bool:
        return self._stream.version not in (None, VERSION)

    def session(
        self, argv: tuple[str, ...] | None, size: Size | None, term: str = "xterm-256color"
    ) -> Session:
        return self._ssh.session(argv, size, term)

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0) -> Completed:
        return self._ssh.run(argv, stdin=stdin, timeout=timeout)

    def read(self, path: str) -> bytes:
        return self._ssh.read(path)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._ssh.write(path, data, mode)

    def close(self) -> None:
        self._stream.close()
        self._ssh.close()


def _is_silent(error: GuestUnreachable) -> bool:
    """Whether the machine is there, and only its agent does not answer."""
    return isinstance(error.__cause__, TimeoutError)
