"""The agent stream of one machine, made again when it is lost.

After a violation of the protocol no other session is made for `session.BACKOFF` seconds. Next:
`session.py`, `vm/guest/ssh_kept.py`.
"""

import time

from vm.guest.ssh_kept import Kept, Lost
from vm.guest.stream import targets
from vm.guest.stream.boot_messages import BootMessageLog
from vm.guest.stream.channel import Channel
from vm.guest.stream.session import AgentStream, Connect


class KeptStream:
    """For any thread. Every call raises GuestUnreachable when no session can be made; its cause is
    a TimeoutError where the machine is there and only its agent does not answer."""

    def __init__(self, connect: Connect, messages: BootMessageLog | None = None) -> None:
        self._connect = connect
        self._messages = messages
        self._stream: AgentStream | None = None
        self._kept = Kept(self._make_stream)

    def _make_stream(self, limit: float) -> AgentStream:
        """QEMU serves one client at a time. Raises OSError."""
        if self._stream is not None:
            self._stream.close()
            if time.monotonic() < self._stream.barred_until:
                raise TimeoutError("its agent broke the protocol")
        self._stream = AgentStream(self._connect, limit, self._messages)
        return self._stream

    def connect(self, deadline: float) -> None:
        """Make a session within `deadline` seconds, unless there is one."""
        self._kept.get(deadline, 0.0)

    @property
    def version(self) -> int | None:
        """Of the guest's agent; None where there is no session. Known once a channel is open."""
        stream = self._stream
        return stream.version if stream is not None and stream.alive else None

    def open(self, target: str) -> Channel:
        """Raises ConnectionRefusedError with the errno that the guest's agent gives."""
        return self._kept.use(lambda stream: stream.open(target))

    def open_ssh(self) -> Channel | None:
        """A channel to an sshd of its own; None where there is no session now, or its agent has
        none to offer. Makes no session: QEMU serves one client at a time, and a program that only
        wants ssh must not take the stream from the supervisor."""
        stream = self._stream
        if stream is None or not stream.alive:
            return None
        try:
            return stream.open(targets.SSH)
        except (Lost, ConnectionRefusedError):
            return None

    def close(self) -> None:
        self._kept.close()
