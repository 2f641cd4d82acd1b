"""The inside of a running machine, as the host reaches it.

`Guest` is what the lifecycle, the bridge and the command line hold; `ssh.py` is the one that every
real backend has, `stream/` one with a shorter way to sockets, `vm/backends/fake.py` scripts one. A
Guest can be rebuilt at any time from `Observation.address`: it remembers nothing that matters.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from vm.host.process import Completed

HANDOVER = "/run/galley/handover.sock"  # where a guest that has not all it needs waits for it


class Size(msgspec.Struct, frozen=True):
    """A terminal, in characters."""

    columns: int
    rows: int


class Stream(Protocol):
    """A byte stream to a socket in the guest. Each direction ends by itself (half-close).

    One thread may receive while another sends; `close` may come from any thread and ends both.
    """

    def recv(self, limit: int) -> bytes:
        """Up to `limit` bytes, b"" at the end. Blocks. Raises OSError when the guest is lost."""

    def sendall(self, data: bytes) -> None:
        """Blocks while the window is full (back-pressure). Raises OSError when lost."""

    def shutdown_write(self) -> None:
        """Tell the other side that nothing more comes."""

    def close(self) -> None:
        """End both directions; never raises; twice is once."""


@runtime_checkable
class Prompt(Protocol):
    """A Stream that can pass on what comes by itself, which costs no switch of threads."""

    def give_at_once(self, sink: Callable[[bytes], int]) -> None:
        """While somebody waits in `recv`, what comes goes to `sink`; it takes what it can without
        blocking, says how many bytes, and raises OSError when it can take none any more. What it
        leaves goes to `recv`."""


class Session(Protocol):
    """A command or a login shell that runs in the guest. With a terminal, nothing comes from
    `recv_stderr`."""

    def recv(self, limit: int, /) -> bytes: ...

    def recv_stderr(self, limit: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def shutdown_write(self) -> None: ...

    def resize(self, size: Size, /) -> None: ...

    def exit_status(self) -> int:
        """Blocks until it has ended; negative when it was killed or the guest was lost."""

    def close(self) -> None: ...


class Guest(Protocol):
    """Every call raises GuestUnreachable when the guest does not answer."""

    def connect(self, deadline: float) -> None:
        """Reach the guest, `deadline` in seconds from now. Raises GuestChanged.

        Connecting again when connected does nothing; after a loss it makes a new connection.
        Every other call connects by itself when it must.
        """

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0) -> Completed:
        """Run a command as root, to its end. Raises TimedOut."""

    def read(self, path: str) -> bytes:
        """The content of a guest file. Raises FileNotFoundError."""

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a guest file, atomically."""

    def dial(self, socket_path: str) -> Stream:
        """Connect to a Unix socket in the guest. Raises ConnectionRefusedError when nothing
        listens there."""

    def close(self) -> None: ...


@runtime_checkable
class SessionGuest(Guest, Protocol):
    """A guest in which programs run; one that only pretends is none."""

    def session(
        self, argv: tuple[str, ...] | None, size: Size | None, term: str = "xterm-256color"
    ) -> Session:
        """A command, or a login shell; with a terminal of `size`, or without one."""


@runtime_checkable
class AgentGuest(Protocol):
    """A guest with an agent stream."""

    @property
    def is_outdated(self) -> bool:
        """Whether another version of Galley has started the machine: its agent is another one."""


class ReachableMachine(Protocol):
    """A machine whose inside can be reached while it runs."""

    @property
    def guest(self) -> Guest:
        """Raises NoMachine."""
