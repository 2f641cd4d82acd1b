"""Follows events of the guest agent while the machine runs; reconnects when a connection is lost.

Next: `vm/guest/agent.py` (sends them), `guest_clock.py` and `guest_disk_space.py` (use them).
"""

import contextlib
import logging
import threading
from collections.abc import Callable

from vm.errors import GalleyError, GuestUnreachable
from vm.guest.agent import Watch

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds between two tries to reach the guest


class GuestEvents:
    """`watch` opens a stream of events; `on_event` gets "" after each connect, then each event, in
    another thread. `follow` may be called from any thread.
    """

    def __init__(
        self, name: str, watch: Callable[[], Watch], on_event: Callable[[str], None]
    ) -> None:
        self._name = name
        self._watch = watch
        self._on_event = on_event
        self._lock = threading.Lock()
        self._subscription: _Subscription | None = None

    def follow(self, runs: bool) -> bool:
        """Start or stop to follow the guest, without blocking. False if that changes nothing."""
        with self._lock:
            if runs is (self._subscription is not None):
                return False
            ended, self._subscription = self._subscription, None
            if runs:
                self._subscription = _Subscription(self._watch, self._on_event)
                threading.Thread(
                    target=self._subscription.listen, name=self._name, daemon=True
                ).start()
        if ended is not None:
            ended.end()
        return True


class _Subscription:
    """Follows one machine's events in a thread, until `end`."""

    def __init__(self, watch: Callable[[], Watch], on_event: Callable[[str], None]) -> None:
        self._begin = watch
        self._on_event = on_event
        self._ended = threading.Event()
        self._watch: Watch | None = None

    def end(self) -> None:
        """Does not wait for the thread."""
        self._ended.set()
        watch = self._watch
        if watch is not None:
            watch.close()

    def listen(self) -> None:
        while not self._ended.is_set():
            try:
                with contextlib.closing(self._begin()) as self._watch:
                    self._follow(self._watch)
            except GuestUnreachable:  # tried again until it answers
                self._ended.wait(RETRY)
            except GalleyError as error:
                log.info("the machine sends no events: %s", error)
                return

    def _follow(self, watch: Watch) -> None:
        event = ""
        while not self._ended.is_set():
            self._on_event(event)
            event = watch.wait()
