"""Hears what the guest tells by itself, for as long as the machine runs, whatever is lost.

Next: `vm/guest/agent.py` (who tells), `guest_clock.py` and `guest_disk_space.py` (who listen).
"""

import contextlib
import logging
import threading
from collections.abc import Callable

from vm.errors import GalleyError, GuestUnreachable
from vm.guest.agent import Watch

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds between two tries to reach the guest


class Listener:
    """`watch` begins to hear; `on_word` gets each word, and "" first, whenever it has begun.

    `follow` may be called from any thread; `on_word` is called in one of the listener's own.
    """

    def __init__(
        self, name: str, watch: Callable[[], Watch], on_word: Callable[[str], None]
    ) -> None:
        self._name = name
        self._watch = watch
        self._on_word = on_word
        self._lock = threading.Lock()
        self._ear: _Ear | None = None

    def follow(self, runs: bool) -> bool:
        """Whether there is a guest to be heard. Returns at once, with whether that was new."""
        with self._lock:
            if runs is (self._ear is not None):
                return False
            ended, self._ear = self._ear, None
            if runs:
                self._ear = _Ear(self._watch, self._on_word)
                threading.Thread(target=self._ear.listen, name=self._name, daemon=True).start()
        if ended is not None:
            ended.end()
        return True


class _Ear:
    """One thread's, until `end`."""

    def __init__(self, watch: Callable[[], Watch], on_word: Callable[[str], None]) -> None:
        self._begin = watch
        self._on_word = on_word
        self._ended = threading.Event()
        self._watch: Watch | None = None

    def end(self) -> None:
        """The thread ends by itself."""
        self._ended.set()
        watch = self._watch
        if watch is not None:
            watch.close()

    def listen(self) -> None:
        while not self._ended.is_set():
            try:
                with contextlib.closing(self._begin()) as self._watch:
                    self._hear(self._watch)
            except GuestUnreachable:  # it is heard again when it is there again
                self._ended.wait(RETRY)
            except GalleyError as error:
                log.info("the machine tells nothing: %s", error)
                return

    def _hear(self, watch: Watch) -> None:
        word = ""
        while not self._ended.is_set():
            self._on_word(word)
            word = watch.wait()
