"""One channel of the agent stream.

In each direction of a channel at most WINDOW bytes are under way: the receiver grants credit as
it passes data on, so no channel holds up another one. Next: `frames.py`, `session.py`.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from vm.guest.ssh_kept import Lost
from vm.guest.stream.frames import (
    HIGHEST_ERRNO,
    LARGEST,
    NUMBER,
    WINDOW,
    Kind,
    ProtocolViolation,
    connection_lost,
    number_in,
)

GRANT = WINDOW // 4  # bytes passed on before the guest gets credit for them
SMALL = 4 * 1024  # bytes of a block to which the next is added: each costs memory of its own
SILENCE = 10.0  # seconds without any frame while a channel is being opened


class FrameSender(Protocol):
    """What a channel needs of its session."""

    @property
    def heard(self) -> float:
        """When the guest last sent anything (`time.monotonic`)."""

    def send(self, number: int, kind: Kind, data: bytes | memoryview = b"", /) -> None:
        """Blocks while the stream is full. Raises OSError when it is lost."""

    def forget(self, number: int, /) -> None: ...


class Channel:
    """See `vm.guest.protocol.Stream`."""

    def __init__(self, sender: FrameSender, number: int) -> None:
        self._sender = sender
        self._number = number
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._received = 0  # bytes that the guest has no credit for again
        self._taken = 0  # of them those that were passed on
        self._credit = WINDOW
        self._ended = False  # by the guest
        self._forgotten = False  # by the guest, or with the session
        self._closed = False  # by us
        self._waiting = False  # a thread is in recv, so everything before has been passed on
        self._sink: Callable[[bytes], int] | None = None
        self.answered: Kind | None = None
        self.reason = 0  # errno of the guest's refusal

    def give_at_once(self, sink: Callable[[bytes], int]) -> None:
        """Let the session's thread pass data on while another waits in `recv`, without a switch of
        threads. `sink` takes what it can without blocking, and returns how many bytes.
        """
        self._sink = sink

    def recv(self, limit: int, timeout: float | None = None) -> bytes:
        """Raises TimeoutError when nothing comes within `timeout` seconds."""
        with self._changed:
            self._waiting = True
            came = self._changed.wait_for(self._may_receive, timeout)
            self._waiting = False
            if not came:
                raise TimeoutError
            if not self._blocks:
                if self._ended:
                    return b""
                raise connection_lost()
            data = self._take(limit)
        self._took(len(data))
        return data

    def _may_receive(self) -> bool:
        return bool(self._blocks) or self._ended or self._forgotten or self._closed

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
            self._sender.send(self._number, Kind.DATA, view[:size])
            view = view[size:]

    def _may_send(self, wanted: int) -> int:
        with self._changed:
            while self._credit == 0 and not (self._forgotten or self._closed):
                self._changed.wait()
            if self._forgotten or self._closed:
                raise connection_lost()
            size = min(wanted, self._credit)
            self._credit -= size
            return size

    def shutdown_write(self) -> None:
        if self._forgotten or self._closed:
            raise connection_lost()
        self._sender.send(self._number, Kind.END)

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            tell = not self._forgotten
            self._changed.notify_all()
        self._sender.forget(self._number)
        if tell:
            with contextlib.suppress(OSError):
                self._sender.send(self._number, Kind.CLOSE)

    def await_answer(self) -> None:
        """Raises Lost, ConnectionRefusedError."""
        asked = time.monotonic()
        with self._changed:
            while self.answered is None:
                self._changed.wait(SILENCE)
                silent = time.monotonic() - max(asked, self._sender.heard) > SILENCE
                if silent or self._forgotten:
                    break
        if self.answered is None:
            raise Lost
        if self.answered is Kind.REFUSED:
            raise ConnectionRefusedError(self.reason, os.strerror(self.reason))

    # --- called by the session's thread ------------------------------------------------------

    def got(self, kind: int, data: memoryview) -> None:
        """Raises ProtocolViolation."""
        if kind == Kind.DATA:
            self._got_data(data)
            return
        with self._changed:
            if kind == Kind.CREDIT:
                self._got_credit(number_in(data))
            elif kind == Kind.END:
                self._ended = True
            elif kind == Kind.CLOSE:
                self._forgotten = True
            elif kind in (Kind.OPENED, Kind.REFUSED):
                if self.answered is not None:
                    raise ProtocolViolation("a channel was answered twice")
                self.answered = Kind(kind)
                self.reason = min(number_in(data), HIGHEST_ERRNO) if data else 0
            self._changed.notify_all()

    def _got_credit(self, size: int) -> None:
        self._credit += size
        if self._credit > WINDOW:
            raise ProtocolViolation(f"{self._credit} bytes of credit")

    def _got_data(self, data: memoryview) -> None:
        with self._changed:
            self._received += len(data)
            if not data or self._ended or self._received > WINDOW:
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
        except OSError:  # the thread in `recv` meets the same error when it passes data on
            self._sink = None
            return 0

    def _took(self, size: int) -> None:
        """Grant credit when it matters: the guest stops after WINDOW bytes."""
        with self._changed:
            self._taken += size
            if self._taken < GRANT or self._ended or self._closed:
                return
            granted, self._taken = self._taken, 0
            self._received -= granted
        with contextlib.suppress(OSError):  # `recv` raises it after the data that is there
            self._sender.send(self._number, Kind.CREDIT, NUMBER.pack(granted))

    def lose(self) -> None:
        with self._changed:
            self._forgotten = True
            self._changed.notify_all()
