"""The agent stream while bulk data fills it both ways: a ping of dockerd, and a freeze of the disk.

The supervisor, which has the stream, is ended; the machine runs on, and the bench takes the stream.
An image is saved and loaded by two channels of it, which is what a pull and folders by SFTP are for
the stream. The floor is the same stream with nothing else on it. Next:
`vm/guest/stream/session.py`.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from tests.bench.bulk import BIG, LOAD, MIB, SAVE, noise
from tests.bench.figures import Row, at_most, compared
from tests.bench.http_endpoints import ask, ping
from tests.bench.lab import Lab
from tests.bench.timing import alternate, wait_until
from vm.guest.agent import GuestAgent
from vm.guest.protocol import Guest, Stream
from vm.host import process

DOCKERD = "/run/docker.sock"
TAR = "Host: docker\r\nContent-Type: application/x-tar"
HEAD = "{} {} HTTP/1.1\r\n" + TAR + "\r\nContent-Length: {}\r\n\r\n"
BLOCK = 1 << 20


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    galley.docker("import", "-", BIG, stdin=noise(lab.times(256, 32) * MIB))
    packed = ask(lab.bridge(), "GET", SAVE)
    process.end(galley.supervisor_identity(), force=True)
    guest = lab.guest()
    guest.connect(30)
    agent = GuestAgent(guest.dial)

    def ping_anew() -> float:
        """Milliseconds, on a channel of its own."""
        began = time.perf_counter()
        with contextlib.closing(guest.dial(DOCKERD)) as channel:
            ping(channel)
            return 1e3 * (time.perf_counter() - began)

    def freeze() -> float:
        """Milliseconds until the disk is frozen; the thaw does not count."""
        began = time.perf_counter()
        agent.freeze()
        frozen = time.perf_counter()
        agent.thaw()
        return 1e3 * (frozen - began)

    try:
        with contextlib.closing(Load(guest, packed)) as load:
            rounds = lab.times(20, 3)
            pings = alternate(rounds, lambda: load.during(ping_anew), ping_anew)
            freezes = alternate(rounds, lambda: load.during(freeze), freeze)
    finally:
        guest.close()
    yield compared("stream.ping_while_full", "ms", pings, at_most(20))
    yield compared("stream.freeze_while_full", "ms", freezes, at_most(20))
    galley.start()  # the next supervisor adopts the machine
    galley.docker("rmi", BIG)


class Load:
    """Saves and loads an image over and over, each by a channel, while it is `on`."""

    def __init__(self, guest: Guest, packed: bytes) -> None:
        self._guest = guest
        self._packed = packed
        self._on = threading.Event()
        self._closed = False
        self._moved = [0, 0]  # bytes down and up
        self._threads = [threading.Thread(target=self._repeat, args=(n,)) for n in (0, 1)]
        for thread in self._threads:
            thread.start()

    def during[T](self, work: Callable[[], T]) -> T:
        """Do `work` while data flows both ways."""
        self._on.set()
        before = tuple(self._moved)
        wait_until(lambda: all(map(int.__gt__, self._moved, before)), "data flows", every=0.01)
        try:
            return work()
        finally:
            self._on.clear()

    def close(self) -> None:
        self._closed = True
        self._on.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, way: int) -> None:
        while self._on.wait() and not self._closed:
            with contextlib.closing(self._guest.dial(DOCKERD)) as channel:
                (self._save, self._load)[way](channel)

    def _save(self, channel: Stream) -> None:
        channel.sendall(HEAD.format("GET", SAVE, 0).encode())
        left = len(self._packed)
        while left > 0 and self._on.wait() and not self._closed:
            data = _some(channel)
            left -= len(data)
            self._moved[0] += len(data)

    def _load(self, channel: Stream) -> None:
        channel.sendall(HEAD.format("POST", LOAD, len(self._packed)).encode())
        for at in range(0, len(self._packed), BLOCK):
            if not self._on.wait() or self._closed:
                return
            channel.sendall(self._packed[at : at + BLOCK])
            self._moved[1] += BLOCK
        _some(channel)


def _some(channel: Stream) -> bytes:
    data = channel.recv(BLOCK)
    if not data:
        raise ConnectionError("dockerd closed the connection")
    return data
