"""Connections to Unix sockets in the guest, many at once over one byte line: no ssh in between.

What a backend with a port of its own offers (QEMU: virtio-serial), beside ssh, which still carries
commands, files and terminals. The guest's end is `engine/guest/files/source/relay.c`.

    RelayedGuest  dials through the line, does the rest through ssh, and dials through ssh
                  where there is no line
    RelayLine     one session over the line; its thread hands out what the guest sends
    RelayStream   one connection (`vm.guest.protocol.Stream`)

In each direction of a connection at most WINDOW bytes are under way. A guest that sends more than
it may, or what is no frame, loses the line; another is made, but not before BACKOFF seconds, in
which connections go through ssh. Next: `relay_frames.py`, `protocol.py`, `ssh_kept.py`.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from vm.errors import GuestUnreachable
from vm.guest.protocol import Session, SessionGuest, Size, Stream
from vm.guest.relay_frames import (
    HIGHEST_ERRNO,
    LARGEST,
    MAGIC,
    NUMBER,
    WINDOW,
    ZEROS,
    Kind,
    ProtocolViolation,
    frames,
    number_in,
    packed,
)
from vm.guest.ssh_kept import Kept, Lost
from vm.host.process import Completed

log = logging.getLogger(__name__)

GRANT = WINDOW // 4  # bytes taken before the guest is told
SMALL = 4 * 1024  # bytes of a block to which the next is added: each costs memory of its own
READ = 256 * 1024
SILENCE = 10.0  # seconds without a word while we wait for an answer
BACKOFF = 10.0  # seconds after a violation of the protocol

Connect = Callable[[float], socket.socket]  # until so many `time.monotonic`; raises OSError


class RelayStream:
    """See `vm.guest.protocol.Stream`."""

    def __init__(self, line: "RelayLine", number: int) -> None:
        self._line = line
        self._number = number
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._received = 0  # bytes that the guest has no credit for again
        self._taken = 0  # of them those that were passed on
        self._credit = WINDOW
        self._ended = False  # by the guest
        self._forgotten = False  # by the guest, or with the line
        self._closed = False  # by us
        self._waiting = False  # somebody is in recv, so what came before has been passed on
        self._sink: Callable[[bytes], int] | None = None
        self.answered: Kind | None = None
        self.reason = 0  # errno of the guest's refusal

    def give_at_once(self, sink: Callable[[bytes], int]) -> None:
        """Let the line's thread itself pass on what comes while somebody waits in `recv`: it costs
        no switch of threads. `sink` takes what it can without blocking, and says how many bytes.
        """
        self._sink = sink

    def recv(self, limit: int) -> bytes:
        with self._changed:
            self._waiting = True
            while not (self._blocks or self._ended or self._forgotten or self._closed):
                self._changed.wait()
            self._waiting = False
            if not self._blocks:
                if self._ended:
                    return b""
                raise _lost()
            data = self._take(limit)
        self._took(len(data))
        return data

    def _take(self, limit: int) -> bytes:
        """As many blocks as fit, together: one write costs less than several."""
        taken, size = [], 0
        while self._blocks and size < limit:
            block = self._blocks.popleft()
            if size + len(block) > limit:
                self._blocks.appendleft(block[limit - size :])
                block = block[: limit - size]
            taken.append(block)
            size += len(block)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            size = self._may_send(min(len(view), LARGEST))
            self._line.say(self._number, Kind.DATA, view[:size])
            view = view[size:]

    def _may_send(self, wanted: int) -> int:
        with self._changed:
            while self._credit == 0 and not (self._forgotten or self._closed):
                self._changed.wait()
            if self._forgotten or self._closed:
                raise _lost()
            size = min(wanted, self._credit)
            self._credit -= size
            return size

    def shutdown_write(self) -> None:
        if self._forgotten or self._closed:
            raise _lost()
        self._line.say(self._number, Kind.END)

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            tell = not self._forgotten
            self._changed.notify_all()
        self._line.forget(self._number)
        if tell:
            with contextlib.suppress(OSError):
                self._line.say(self._number, Kind.CLOSE)

    def await_answer(self) -> None:
        """Raises Lost, ConnectionRefusedError."""
        asked = time.monotonic()
        with self._changed:
            while self.answered is None:
                self._changed.wait(SILENCE)
                silent = time.monotonic() - max(asked, self._line.heard) > SILENCE
                if silent or self._forgotten:
                    break
        if self.answered is None:
            raise Lost
        if self.answered is Kind.REFUSED:
            raise ConnectionRefusedError(self.reason, os.strerror(self.reason))

    # --- called by the line's thread ---------------------------------------------------------

    def got(self, kind: int, data: memoryview) -> None:
        if kind == Kind.DATA:
            self._got_data(data)
            return
        with self._changed:
            if kind == Kind.CREDIT:
                self._credit += number_in(data)
            elif kind == Kind.END:
                self._ended = True
            elif kind == Kind.CLOSE:
                self._forgotten = True
            elif kind in (Kind.OPENED, Kind.REFUSED):
                self.answered = Kind(kind)
                self.reason = min(number_in(data), HIGHEST_ERRNO) if data else 0
            self._changed.notify_all()

    def _got_data(self, data: memoryview) -> None:
        with self._changed:
            self._received += len(data)
            if not data or self._received > WINDOW:
                raise ProtocolViolation(f"{len(data)} bytes of data, {self._received} unasked")
            given = 0
            if self._sink is not None and self._waiting and not self._blocks:
                given = self._give(self._sink, data)
            if given < len(data):
                self._keep(bytes(data[given:]))
                self._changed.notify_all()
        if given:
            self._took(given)

    def _keep(self, block: bytes) -> None:
        if self._blocks and len(self._blocks[-1]) < SMALL:
            self._blocks[-1] += block
        else:
            self._blocks.append(block)

    def _give(self, sink: Callable[[bytes], int], data: memoryview) -> int:
        try:
            return sink(bytes(data))
        except OSError:  # whoever waits in `recv` finds out by itself, in passing it on
            self._sink = None
            return 0

    def _took(self, size: int) -> None:
        """Tell the guest when it matters: it stops after WINDOW bytes."""
        with self._changed:
            self._taken += size
            if self._taken < GRANT or self._ended or self._closed:
                return
            granted, self._taken = self._taken, 0
            self._received -= granted
        with contextlib.suppress(OSError):  # the reader learns it when it has read what there is
            self._line.say(self._number, Kind.CREDIT, NUMBER.pack(granted))

    def lose(self) -> None:
        with self._changed:
            self._forgotten = True
            self._changed.notify_all()


class RelayLine:
    """One session. For any thread."""

    def __init__(self, connect: Connect, limit: float) -> None:
        """Raises OSError when the guest does not answer within `limit` seconds."""
        until = time.monotonic() + limit
        hello = os.urandom(16)
        self._session: int = NUMBER.unpack(hello[: NUMBER.size])[0]
        self._streams: dict[int, RelayStream] = {}
        self._numbers = iter(range(1, 1 << 32))
        self._turn = threading.Lock()
        self._sending = threading.Lock()
        self.alive = True
        self.barred_until = 0.0  # `time.monotonic`; set by a violation of the protocol
        self.heard = 0.0
        self._socket = connect(until)
        try:
            rest = self._greet(MAGIC + hello, until)
            self._socket.settimeout(None)
        except OSError:
            self._socket.close()
            raise
        self._reader = threading.Thread(
            target=self._read, args=(rest,), name="galley-relay", daemon=True
        )
        self._reader.start()

    def dial(self, socket_path: str) -> RelayStream:
        """Raises Lost, ConnectionRefusedError."""
        with self._turn:
            if not self.alive:
                raise Lost
            stream = RelayStream(self, next(self._numbers))
            self._streams[stream._number] = stream
        try:
            self.say(stream._number, Kind.OPEN, socket_path.encode())
            stream.await_answer()
        except ConnectionRefusedError:
            self.forget(stream._number)
            raise
        except OSError as error:
            raise Lost from error
        return stream

    def say(self, number: int, kind: Kind, data: bytes | memoryview = b"") -> None:
        """Blocks while the line is full. Raises OSError when it is lost."""
        frame = packed(self._session, number, kind, data)
        with self._sending:
            if not self.alive:
                raise _lost()
            self._socket.sendall(frame)

    def forget(self, number: int) -> None:
        with self._turn:
            self._streams.pop(number, None)

    def close(self) -> None:
        self.alive = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    def _greet(self, hello: bytes, until: float) -> bytes:
        """What the guest has sent after its answer."""
        self._socket.settimeout(max(0.05, until - time.monotonic()))
        self._socket.sendall(ZEROS + hello)
        received = b""
        while True:
            self._socket.settimeout(max(0.001, until - time.monotonic()))
            data = self._socket.recv(READ)
            if not data:
                raise _lost()
            received += data
            _, found, rest = received.partition(hello)
            if found:
                return rest
            received = received[-len(hello) :]

    def _read(self, rest: bytes) -> None:
        buffer = bytearray(rest)
        try:
            while True:
                for number, kind, data in frames(buffer, self._session):
                    stream = self._streams.get(number)
                    if stream is not None:
                        stream.got(kind, data)
                data_read = self._socket.recv(READ)
                if not data_read:
                    raise _lost()
                self.heard = time.monotonic()
                buffer += data_read
        except ProtocolViolation as error:
            self.barred_until = time.monotonic() + BACKOFF
            log.warning("the guest broke the relay's protocol, and the line is cut: %s", error)
        except OSError as error:
            if self.alive and self._streams:
                count = len(self._streams)
                log.info("the line has ended, and %d streams with it: %s", count, error)
        finally:
            self._lose()

    def _lose(self) -> None:
        self.alive = False
        with self._sending:
            self._socket.close()
        with self._turn:
            lost, self._streams = self._streams, {}
        for stream in lost.values():
            stream.lose()


class RelayedGuest:
    """`vm.guest.protocol.SessionGuest`: connections through the line that `connect` finds, else by
    ssh."""

    def __init__(self, connect: Connect, ssh: SessionGuest) -> None:
        self._connect = connect
        self._ssh = ssh
        self._line: RelayLine | None = None
        self._kept = Kept(self._make_line)

    def _make_line(self, limit: float) -> RelayLine:
        """QEMU listens to one at a time. Raises OSError."""
        if self._line is not None:
            self._line.close()
            if time.monotonic() < self._line.barred_until:
                raise TimeoutError("its relay broke the protocol")
        self._line = RelayLine(self._connect, limit)
        return self._line

    def connect(self, deadline: float) -> None:
        try:
            self._kept.get(deadline, 0.0)
        except GuestUnreachable as error:
            if not _is_silent(error):
                raise
            self._ssh.connect(deadline)

    def dial(self, socket_path: str) -> Stream:
        try:
            return self._kept.use(lambda line: line.dial(socket_path))
        except GuestUnreachable as error:
            if not _is_silent(error):
                raise
            return self._ssh.dial(socket_path)

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
        self._kept.close()
        self._ssh.close()


def _is_silent(error: GuestUnreachable) -> bool:
    """Whether the machine is there, and only its relay says nothing."""
    return isinstance(error.__cause__, TimeoutError)


def _lost() -> ConnectionResetError:
    return ConnectionResetError("the connection to the virtual machine was lost")
