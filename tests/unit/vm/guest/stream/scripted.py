"""The end of the agent stream in the guest, scripted by the test."""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from tests.background import Background
from vm.guest.stream.channel import Channel
from vm.guest.stream.frames import MAGIC, NUMBER, ZEROS, Kind, frames, packed
from vm.guest.stream.session import AgentStream

PATH = "/run/docker.sock"

type Frame = tuple[int, int, bytes]


class Guest:
    """The other end of the stream. It greets, and then does what it is told to."""

    def __init__(self, before: bytes, after: bytes, pieces: int) -> None:
        self.before, self.after, self.pieces = before, after, pieces
        self.host, self.theirs = socket.socketpair()
        self.host.settimeout(10)
        self.session = 0
        self._buffer = bytearray()
        self._heard: deque[Frame] = deque()
        self._greeting = threading.Thread(target=self._greet, daemon=True)
        self._greeting.start()

    def connect(self, until: float) -> socket.socket:
        return self.theirs

    def _greet(self) -> None:
        hello = self._read(len(ZEROS) + len(MAGIC) + 16)[len(ZEROS) :]
        self.session = NUMBER.unpack_from(hello, len(MAGIC))[0]
        after = self.after and packed(self.session, 9, Kind.CREDIT, NUMBER.pack(1))
        said = self.before + hello + after
        size = -(-len(said) // self.pieces)
        for start in range(0, len(said), size):
            self.host.sendall(said[start : start + size])

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.host.recv(size - len(data))
        return data

    def hear(self) -> Frame:
        """The next frame of the host's."""
        while not self._heard:
            self._buffer += self.host.recv(1 << 16)
            found = frames(self._buffer, self.session)
            self._heard.extend((number, kind, bytes(data)) for number, kind, data in found)
        return self._heard.popleft()

    def say(self, number: int, kind: Kind, data: bytes = b"") -> None:
        self.host.sendall(packed(self.session, number, kind, data))

    def hears_no_more(self) -> bool:
        """Once the host has closed the stream, or this end of it."""
        if self._heard or self._buffer:
            return False
        self.host.settimeout(0.1)
        try:
            return self.host.recv(1) == b""
        except TimeoutError:
            return True


def opened(guest: Guest, stream: AgentStream) -> Channel:
    dialled = Background().submit(stream.open, PATH)
    number, kind, data = guest.hear()
    assert (kind, data) == (Kind.OPEN, PATH.encode())
    guest.say(number, Kind.OPENED)
    return dialled.result()


def received(channel: Channel, limit: int = 1 << 20) -> bytes:
    return Background().submit(channel.recv, limit).result()


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
