"""Datagrams of a channel to a UDP address in the guest.

On the channel each has its length in front, in two little-endian bytes. As on any network, one that
the guest cannot send is lost. Next: `targets.py`; `connections.h` in the guest.
"""

import struct

from vm.guest.protocol import Stream

LENGTH = struct.Struct("<H")
LONGEST = 65507  # bytes of a datagram over IPv4


class DatagramChannel:
    """One thread may receive while another sends."""

    def __init__(self, channel: Stream) -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        """Raises ValueError for more than LONGEST bytes, OSError when the guest is lost."""
        if len(data) > LONGEST:
            raise ValueError(f"a datagram of {len(data)} bytes")
        self._channel.sendall(LENGTH.pack(len(data)) + data)

    def recv(self) -> bytes | None:
        """The next datagram, which may be empty; None at the end. Raises OSError when the guest is
        lost."""
        head = self._exactly(LENGTH.size)
        if head is None:
            return None
        length: int = LENGTH.unpack(head)[0]
        return self._exactly(length)

    def close(self) -> None:
        self._channel.close()

    def _exactly(self, count: int) -> bytes | None:
        parts, left = [], count
        while left:
            data = self._channel.recv(left)
            if not data:
                return None
            parts.append(data)
            left -= len(data)
        return b"".join(parts)
