"""One session of the agent stream: its hello, its thread, and its channels.

A guest that sends more than it may, or what is no frame, loses the session; `barred_until` then
says when the next may be made. Next: `channel.py`, `guest.py`.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from vm.guest.ssh_kept import Lost
from vm.guest.stream.boot_messages import BootMessageLog
from vm.guest.stream.channel import Channel
from vm.guest.stream.frames import (
    MAGIC,
    NUMBER,
    ZEROS,
    Kind,
    ProtocolViolation,
    connection_lost,
    frames,
    number_in,
    packed,
)

log = logging.getLogger(__name__)

READ = 256 * 1024
BACKOFF = 10.0  # seconds after a violation of the protocol

Connect = Callable[[float], socket.socket]  # until so many `time.monotonic`; raises OSError


class AgentStream:
    """One session with the guest's agent. For any thread."""

    def __init__(
        self, connect: Connect, limit: float, messages: BootMessageLog | None = None
    ) -> None:
        """Raises OSError when the guest does not answer within `limit` seconds."""
        until = time.monotonic() + limit
        hello = os.urandom(16)
        self._session: int = NUMBER.unpack(hello[: NUMBER.size])[0]
        self._channels: dict[int, Channel] = {}
        self._numbers = iter(range(1, 1 << 32))
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self.alive = True
        self.version = 1  # of the guest's agent; known before any channel is answered
        self.barred_until = 0.0  # `time.monotonic`; set by a violation of the protocol
        self.heard = 0.0
        self._messages = messages
        if messages is not None:
            messages.begin()
        self._socket = connect(until)
        try:
            rest = self._greet(MAGIC + hello, until)
            self._socket.settimeout(None)
        except OSError:
            self._socket.close()
            raise
        self._reader = threading.Thread(
            target=self._read, args=(rest,), name="galley-agent-stream", daemon=True
        )
        self._reader.start()

    def open(self, target: str) -> Channel:
        """`target`: see `targets.py`. Raises Lost, ConnectionRefusedError (the guest's errno)."""
        with self._lock:
            if not self.alive:
                raise Lost
            channel = Channel(self, next(self._numbers))
            self._channels[channel._number] = channel
        try:
            self.send(channel._number, Kind.OPEN, target.encode())
            channel.await_answer()
        except ConnectionRefusedError:
            self.forget(channel._number)
            raise
        except OSError as error:
            raise Lost from error
        return channel

    def send(self, number: int, kind: Kind, data: bytes | memoryview = b"") -> None:
        """Blocks while the stream is full. Raises OSError when it is lost."""
        frame = packed(self._session, number, kind, data)
        with self._sending:
            if not self.alive:
                raise connection_lost()
            self._socket.sendall(frame)

    def forget(self, number: int) -> None:
        with self._lock:
            self._channels.pop(number, None)

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
                raise connection_lost()
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
                    self._got(number, kind, data)
                data_read = self._socket.recv(READ)
                if not data_read:
                    raise connection_lost()
                self.heard = time.monotonic()
                buffer += data_read
        except ProtocolViolation as error:
            self.barred_until = time.monotonic() + BACKOFF
            log.warning("the guest broke the agent stream's protocol, and it is cut: %s", error)
        except OSError as error:
            if self.alive and self._channels:
                count = len(self._channels)
                log.info("the agent stream has ended, and %d channels with it: %s", count, error)
        finally:
            self._lose()

    def _got(self, number: int, kind: int, data: memoryview) -> None:
        """Raises ProtocolViolation. A frame for a channel that was closed meanwhile is no fault."""
        channel = self._channels.get(number)
        if channel is not None:
            channel.got(kind, data)
        elif number == 0 and kind == Kind.HELLO:
            self.version = number_in(data[: NUMBER.size])
        elif number == 0 and kind == Kind.MESSAGES and self._messages is not None:
            self._messages.add(data)

    def _lose(self) -> None:
        self.alive = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends a send that blocks
        with self._sending:
            self._socket.close()
        with self._lock:
            lost, self._channels = self._channels, {}
        for channel in lost.values():
            channel.lose()
