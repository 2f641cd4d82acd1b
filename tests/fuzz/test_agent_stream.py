"""Frames of a hostile guest, for the agent stream.

An input is the guest's data after its hello, which is fixed here. Two connections are open: one is
read to the end, the other is never read. Bounds are small, so that small inputs reach them.
Next: `vm/guest/stream/`.
"""

import contextlib
import os
import socket
import threading
from collections import defaultdict
from types import SimpleNamespace

import pytest

from tests.fuzz.harness import PATIENCE, Fuzz, Source, join
from vm.guest.ssh_kept import Lost
from vm.guest.stream import channel as channels
from vm.guest.stream import frames as stream_frames
from vm.guest.stream import session
from vm.guest.stream.channel import Channel
from vm.guest.stream.frames import HEAD, MAGIC, NUMBER, Kind
from vm.guest.stream.session import AgentStream

HELLO = b"\x01\x02\x03\x04 of every line"[:16]
SESSION = NUMBER.unpack_from(HELLO)[0]
LARGEST, WINDOW = 256, 600
WHOLE, UNREAD = 1, 2  # connections


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = SimpleNamespace(urandom=lambda size: HELLO[:size], strerror=os.strerror)
    monkeypatch.setattr(session, "os", fixed)
    for name, value in (("LARGEST", LARGEST), ("WINDOW", WINDOW), ("GRANT", 150), ("SMALL", 16)):
        monkeypatch.setattr(channels, name, value)
    monkeypatch.setattr(stream_frames, "LARGEST", LARGEST)


def frame(session: int, number: int, kind: int, data: bytes, length: int, end: int) -> bytes:
    return HEAD.pack(session, number, kind, length) + data + NUMBER.pack(end)


def frames(source: Source) -> bytes:
    """Mostly valid frames, because an invalid one ends the stream."""
    opened = [frame(SESSION, number, Kind.OPENED, b"", 0, SESSION) for number in (WHOLE, UNREAD)]
    return b"".join([*opened, *source.some(16, lambda: _frame(source))])


def _frame(source: Source) -> bytes:
    kind = source.pick((Kind.DATA, Kind.DATA, Kind.DATA, *Kind, 0, 10))
    number = source.pick((WHOLE, UNREAD, UNREAD, 3, 0))
    data = source.pick((source.blob(), bytes(source.below(LARGEST + 2)), bytes(LARGEST)))
    if kind == Kind.CREDIT and not source.one_in(4):
        data = source.take(NUMBER.size)
    odd = source.below(60)
    session, length, end = SESSION, len(data), SESSION
    if odd == 59:
        session = source.below(1 << 32)
    elif odd == 58:
        length = source.below(1 << 32)
    elif odd == 57:
        end = source.below(1 << 32)
    return frame(session, number, kind, data, length, end)


def expected(data: bytes) -> dict[int, bytes]:
    """The data of each connection: a second decoder of the protocol, without threads."""
    found: dict[int, bytes] = defaultdict(bytes)
    while len(data) >= HEAD.size:
        session, number, kind, length = HEAD.unpack_from(data)
        end = HEAD.size + length
        if session != SESSION or length > LARGEST or len(data) < end + NUMBER.size:
            break
        if NUMBER.unpack_from(data, end)[0] != SESSION:
            break
        if kind == Kind.DATA:
            found[number] += data[HEAD.size : end]
        data = data[end + NUMBER.size :]
    return found


class Reader:
    """A client of one connection, in its own thread. It may end by OSError only."""

    def __init__(self, stream: AgentStream, *, reads: bool) -> None:
        self.got = b""
        self.channel: Channel | None = None
        self._stream = stream
        self._reads = reads
        self.thread = threading.Thread(target=self._run, name="reader")
        self.thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Lost, OSError):
            self.channel = self._stream.open("/run/docker.sock")
            self._stream.send(self.channel._number, Kind.DATA, b"x")
            while self._reads and (data := self.channel.recv(100)):
                self.got += data


def target(data: bytes) -> None:
    host, guest = socket.socketpair()
    with guest:
        guest.settimeout(PATIENCE)
        guest.sendall(b"what was under way" + MAGIC + HELLO)
        stream = AgentStream(lambda until: host, PATIENCE)
        whole, unread = Reader(stream, reads=True), None
        try:
            _await_open(guest)
            unread = Reader(stream, reads=False)
            _await_open(guest)
            guest.sendall(data)
            guest.shutdown(socket.SHUT_WR)
            stream._reader.join(PATIENCE)
            assert not stream.alive
            join(whole.thread, unread.thread)
        finally:
            stream.close()
        right = expected(data)
        assert right[WHOLE].startswith(whole.got)
        if unread.channel is not None:
            held = b"".join(unread.channel._blocks)
            assert right[UNREAD].startswith(held)
            assert len(held) <= WINDOW
            unread.channel.close()


def _await_open(guest: socket.socket) -> None:
    while b"docker.sock" not in guest.recv(1 << 16):
        pass


def test_agent_stream(fuzz: Fuzz) -> None:
    fuzz(
        "agent_stream",
        target,
        frames,
        [HELLO[:4], *(NUMBER.pack(kind) for kind in Kind), bytes(256)],
    )
