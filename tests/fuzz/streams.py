"""A stream that says what a fuzzer has made up. Next: targets."""

from collections.abc import Iterator

BLOCK = 64 * 1024
ENDLESS = 1024  # blocks that follow, of one who never ends


class Fed:
    """A `vm.guest.protocol.Stream`: it sends the given bytes, and keeps what it receives."""

    def __init__(self, data: bytes, *, piece: int = BLOCK, tail: bytes = b"") -> None:
        """In pieces of so many bytes; then ENDLESS blocks of `tail`."""
        self.told = bytearray()
        self.is_closed = False
        self._pieces = self._cut(data, piece, (tail * BLOCK)[:BLOCK])
        self._rest = b""

    @staticmethod
    def _cut(data: bytes, piece: int, tail: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), piece):
            yield data[at : at + piece]
        if tail:
            for _ in range(ENDLESS):
                yield tail

    def recv(self, limit: int) -> bytes:
        if self.is_closed:
            raise ConnectionResetError("closed")
        data = self._rest or next(self._pieces, b"")
        self._rest = data[limit:]
        return data[:limit]

    def sendall(self, data: bytes) -> None:
        if self.is_closed:
            raise ConnectionResetError("closed")
        self.told += data

    def shutdown_write(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True
