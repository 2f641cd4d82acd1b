"""A stream with a scripted peer, for fuzz targets. Next: targets."""

from collections.abc import Iterator

BLOCK = 64 * 1024
ENDLESS = 1024  # blocks of an endless peer


class ScriptedStream:
    """A `vm.guest.protocol.Stream` that yields the given bytes and records what is sent to it."""

    def __init__(self, data: bytes, *, piece: int = BLOCK, tail: bytes = b"") -> None:
        """Yields pieces of `piece` bytes, then ENDLESS blocks of `tail`."""
        self.received = bytearray()
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
        self.received += data

    def shutdown_write(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True
