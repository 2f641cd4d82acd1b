"""Interfaces to the inside of a running machine.

The lifecycle, the bridge and the command line use a `Guest`. `ssh.py` implements it over ssh for
every real backend, `stream/` adds a faster path to sockets, and `vm/backends/fake.py` simulates a
guest. A Guest can be made again at any time from `Observation.address`: its state does not matter.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from vm.host.process import Completed

HANDOVER = "/run/galley/handover.sock"  # a guest from a boot checkpoint waits for boot files here


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
        """Half-close: the other side receives the end of the stream."""

    def close(self) -> None:
        """End both directions. Idempotent; never raises."""


@runtime_checkable
class Prompt(Protocol):
    """A Stream that passes received data on from its own thread, without a switch of threads."""

    def give_at_once(self, sink: Callable[[bytes], int]) -> None:
        """While a thread waits in `recv`, pass received data to `sink`. `sink` takes what it can
        without blocking, returns the number of bytes, and raises OSError when it can never take
        any again. `recv` returns the rest."""


class Session(Protocol):
    """A command or a login shell that runs in the guest. With a terminal, stderr is empty."""

    def recv(self, limit: int, /) -> bytes: ...

    def recv_stderr(self, limit: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def shutdown_write(self) -> None: ...

    def resize(self, size: Size, /) -> None: ...

    def exit_status(self) -> int:
        """Block until it has ended; negative when it was killed or the guest was lost."""

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
    """A guest in which programs can run; a fake is not one."""

    def session(
        self, argv: tuple[str, ...] | None, size: Size | None, term: str = "xterm-256color"
    ) -> Session:
        """A command, or a login shell; with a terminal of `size`, or without one."""


@runtime_checkable
class AgentGuest(Protocol):
    """A guest with an agent stream."""

    @property
    def is_outdated(self) -> bool:
        """Whether another version of Galley has started the machine, with that version's agent."""


class ReachableMachine(Protocol):
    """A machine whose inside can be reached while it runs."""

    @property
    def guest(self) -> Guest:
        """Raises NoMachine."""
