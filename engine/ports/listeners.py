"""Listening sockets of containers with `--network host`, listed by a program in the guest.

The connection stays open while such a container runs. The guest writes the whole list at once and
after each change (`engine/guest/files/source/listeners.c`), so nothing polls. It is not trusted: a
list has a limited size, and lines that are no listeners are left out. Next: `host_network.py`.
"""

import logging
import threading
from collections.abc import Callable, Iterator

from engine.dockerapi.http import Dial
from engine.ports.host_network import ListeningSocket, read_listener
from vm.errors import GalleyError
from vm.guest.protocol import Stream

log = logging.getLogger(__name__)

MOST = 1024  # listeners in a list; the guest writes no more
LINE = 160  # bytes; the longest that the guest writes has 122
READ = 64 * 1024
FIRST = 5.0  # seconds that `follow` waits for the first list
AGAIN, LONGEST = 1.0, 60.0  # seconds between two tries to reach the guest: the first, the longest
LOST = (GalleyError, OSError)

Listeners = tuple[ListeningSocket, ...]


class GuestListeners:
    """`on_change`: the list differs from what `follow` returned last. Any thread."""

    def __init__(self, dial: Dial, on_change: Callable[[], None]) -> None:
        self._dial = dial
        self._on_change = on_change
        self._subscription: _Subscription | None = None
        self._lock = threading.Lock()

    def follow(self, is_wanted: bool) -> Listeners:
        """Start or stop to follow the guest's list, and return it as it is now. The first call
        waits for the first list, at most FIRST seconds."""
        with self._lock:
            subscription = self._subscription
            if is_wanted and subscription is None:
                subscription = self._subscription = _Subscription(self._dial, self._on_change)
                subscription.start()
            elif not is_wanted:
                self._subscription = None
        if is_wanted and subscription is not None:
            return subscription.listeners()
        if subscription is not None:
            subscription.end()
        return ()


class _Subscription:
    """Follows the list in a thread, until `end`."""

    def __init__(self, dial: Dial, on_change: Callable[[], None]) -> None:
        self._dial = dial
        self._on_change = on_change
        self._changed = threading.Condition()
        self._listeners: Listeners | None = None
        self._returned: Listeners = ()
        self._awaited = 0
        self._ended = threading.Event()
        self._stream: Stream | None = None

    def start(self) -> None:
        threading.Thread(target=self._follow, name="listeners", daemon=True).start()

    def end(self) -> None:
        """Does not wait for the thread."""
        self._ended.set()
        with self._changed:
            stream = self._stream
            self._changed.notify_all()
        if stream is not None:
            stream.close()

    def listeners(self) -> Listeners:
        with self._changed:
            self._awaited += 1
            self._changed.wait_for(self._is_known, FIRST)
            self._awaited -= 1
            self._returned = self._listeners or ()
            return self._returned

    def _is_known(self) -> bool:
        return self._listeners is not None or self._ended.is_set()

    def _follow(self) -> None:
        pause = AGAIN
        while not self._ended.is_set():
            try:
                for listeners in self._lists():
                    pause = AGAIN
                    self._set(listeners)
            except LOST as error:
                log.info("what listens in the machine's network: %s", error)
            if self._listeners is None:
                self._set(())  # `listeners` does not wait for it
            self._ended.wait(pause)
            pause = min(2 * pause, LONGEST)

    def _lists(self) -> Iterator[Listeners]:
        stream = self._dial()
        with self._changed:
            self._stream = stream
        try:
            if not self._ended.is_set():
                yield from read_lists(stream.recv)
        finally:
            stream.close()

    def _set(self, listeners: Listeners) -> None:
        with self._changed:
            self._listeners = listeners
            is_new = not self._awaited and listeners != self._returned
            self._changed.notify_all()
        if is_new and not self._ended.is_set():
            self._on_change()


def read_lists(recv: Callable[[int], bytes]) -> Iterator[Listeners]:
    """Each list that the guest writes, until it hangs up. Raises OSError for an endless line."""
    kept = b""
    lines: list[bytes] = []
    while data := recv(READ):
        *whole, kept = (kept + data).split(b"\n")
        for line in whole:
            if not line:
                yield _read_list(lines)
                lines = []
            elif len(lines) < MOST and len(line) < LINE:
                lines.append(line)
        if len(kept) > READ:
            raise OSError(f"a line of more than {READ} bytes")


def _read_list(lines: list[bytes]) -> Listeners:
    read = (read_listener(line.decode("ascii", "replace")) for line in lines)
    return tuple(sorted({listener for listener in read if listener is not None}))
