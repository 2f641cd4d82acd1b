"""Forwards TCP and UDP ports of this host to other addresses.

For ports that a backend's network cannot forward, and for listeners that answer themselves
(`serve`). One thread polls all listeners and forwards all datagrams; a connection has two threads
that block, as in `engine/bridge/pump.py`. Next: `engine/ports/host_forwarder.py`,
`engine/provisioning/proxy_auth_forwarder.py`.
"""

import contextlib
import errno
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

BLOCK = 256 * 1024  # bytes read at once
DATAGRAM = 64 * 1024
CONNECT = 10.0  # seconds
QUIET = 60.0  # seconds without a datagram after which an answer is no longer expected
SENDERS = 500  # senders of datagrams; each takes an open file, so the least recent one is closed
PAUSE = 0.5  # seconds without accepting after it has failed (too many open files)

Address = tuple[str, int]
Key = tuple[str, Address]


class Forwarder:
    """Thread-safe. Its own thread starts with the first port and ends with `close_all`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: dict[Key, socket.socket] = {}
        self._senders: dict[tuple[socket.socket, Address], _Sender] = {}
        self._watched: selectors.BaseSelector | None = None
        self._waker: socket.socket | None = None  # while it is open, the thread runs

    def open(self, protocol: str, here: Address, there: Address) -> None:
        """Forward `here` to `there`. Raises OSError when `here` cannot be bound or polled."""
        if protocol == "tcp":
            self.serve(here, lambda near: connect(near, there))
            return
        bound = _bind(protocol, here)
        with self._lock:
            self._watch(bound, lambda: self._receive(bound, there))
            self._open[protocol, here] = bound

    def serve(self, here: Address, answer: Callable[[socket.socket], None]) -> None:
        """Call `answer` for each connection to `here`, in a thread of its own; it closes the
        connection, and may raise OSError. Raises OSError when `here` cannot be bound or polled."""
        bound = _bind("tcp", here)
        with self._lock:
            self._watch(bound, lambda: _accept(bound, answer))
            self._open["tcp", here] = bound

    def close(self, protocol: str, here: Address) -> None:
        """Stop listening there; open connections continue."""
        with self._lock:
            bound = self._open.pop((protocol, here), None)
            if bound is not None:
                for key in [key for key in self._senders if key[0] is bound]:
                    self._forget(key)
                self._leave(bound)

    def close_all(self) -> None:
        with self._lock:
            for protocol, here in list(self._open):
                self.close(protocol, here)
            if self._waker is not None:
                self._waker.close()
                self._waker = self._watched = None

    def _begin_thread(self) -> tuple[selectors.BaseSelector, socket.socket]:
        """The thread's selector, and the socket that wakes it. Raises OSError."""
        with contextlib.ExitStack() as undo:
            watched = undo.enter_context(selectors.DefaultSelector())
            waker, woken = map(undo.enter_context, socket.socketpair())
            watched.register(woken, selectors.EVENT_READ)
            _start("port-forwarder", self._serve, watched, woken)
            undo.pop_all()
        return watched, waker

    def _watch(self, waiting: socket.socket, act: Callable[[], None]) -> None:
        """Raises OSError, after closing the socket."""
        try:
            if self._watched is None or self._waker is None:
                self._watched, self._waker = self._begin_thread()
            self._watched.register(waiting, selectors.EVENT_READ, act)
            self._waker.send(b".")  # some systems' selectors do not notice a new file
        except OSError:
            self._leave(waiting)
            raise

    def _leave(self, waiting: socket.socket) -> None:
        if self._watched is not None and waiting in self._watched.get_map():
            self._watched.unregister(waiting)
        waiting.close()

    def _serve(self, watched: selectors.BaseSelector, woken: socket.socket) -> None:
        with woken, watched:
            while True:
                ready = watched.select(QUIET)
                failure = None
                with self._lock:
                    for key, _ in ready:
                        if key.fileobj is woken:
                            if not woken.recv(4096):
                                return
                        elif watched.get_map().get(key.fd) == key:  # not closed since
                            try:
                                key.data()
                            except OSError as error:
                                failure = error
                    self._forget_idle_senders()
                if failure is not None:
                    log.warning("a port cannot be served for a moment: %s", failure)
                    time.sleep(PAUSE)  # the request stays pending: the next poll finds it

    # Datagrams: each sender gets a socket of its own on the other side, so that answers reach it.

    def _receive(self, front: socket.socket, there: Address) -> None:
        with contextlib.suppress(OSError):  # a datagram may be lost
            data, address = front.recvfrom(DATAGRAM)
            key = front, address
            sender = self._senders.pop(key, None) or self._begin(front, address, there)
            self._senders[key] = sender  # now the most recent one
            sender.send(data)

    def _begin(self, front: socket.socket, address: Address, there: Address) -> "_Sender":
        if len(self._senders) >= SENDERS:
            self._forget(next(iter(self._senders)))
        sender = _Sender(front, address, there)
        self._watch(sender.back, sender.answer)
        return sender

    def _forget_idle_senders(self) -> None:
        before = time.monotonic() - QUIET
        for key in [key for key, sender in self._senders.items() if sender.last_active < before]:
            self._forget(key)

    def _forget(self, key: tuple[socket.socket, Address]) -> None:
        self._leave(self._senders.pop(key).back)


class _Sender:
    """A sender of datagrams to `front`, and its socket to the other side."""

    def __init__(self, front: socket.socket, address: Address, there: Address) -> None:
        self._front = front
        self._address = address
        self.last_active = time.monotonic()
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.setblocking(False)
        self.back.connect(there)

    def send(self, data: bytes) -> None:
        self.last_active = time.monotonic()
        self.back.send(data)

    def answer(self) -> None:
        with contextlib.suppress(OSError):  # no listener, or no buffer
            data = self.back.recv(DATAGRAM)
            self.last_active = time.monotonic()
            self._front.sendto(data, self._address)


def _bind(protocol: str, here: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in here[0] else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp" and os.name == "posix":  # elsewhere it would let others take the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(here)
        if protocol == "tcp":
            bound.listen(128)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


# Connections


def _accept(bound: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    """Raises OSError where a connection waits but cannot be accepted now."""
    try:
        near, _ = bound.accept()
    except (BlockingIOError, ConnectionError):  # the client has closed it already
        return
    near.setblocking(True)
    try:
        _start("port-connection", _answer, near, answer)
    except OSError:
        near.close()
        raise


def _answer(near: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with near, contextlib.suppress(OSError):
        answer(near)


def connect(near: socket.socket, there: Address) -> None:
    """Forward to `there` until both directions have ended. Raises OSError."""
    with socket.create_connection(there, CONNECT) as far:
        far.settimeout(None)
        both_ways(near, far)


def both_ways(near: socket.socket, far: socket.socket) -> None:
    """Copy until both directions have ended. Raises OSError when the threads cannot start."""
    back = _start("port-connection", _carry, far, near)
    _carry(near, far)
    back.join()


def _start(name: str, target: Callable[..., None], *args: object) -> threading.Thread:
    """Start a thread. Raises OSError when the system has none left, which Python reports as
    RuntimeError."""
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    return thread


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction to its end; a half-close is passed on, an error ends both."""
    try:
        while data := source.recv(BLOCK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
