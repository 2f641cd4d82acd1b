"""The supervisor's end of the control socket.

One thread accepts; each client has its own threads (`session.py`). The engine only puts statuses
into outboxes, so that a stuck client delays neither the engine nor other clients.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Client, Listener

from engine.control.dispatch import Controlled, Dispatch
from engine.control.protocol import address, make_key
from engine.control.session import Session
from engine.settings.store import SettingsStore
from engine.types import EngineStatus
from vm.host.paths import Home, unusable

log = logging.getLogger(__name__)
FLUSH_SECONDS = 1.0  # how long `close` waits for clients to take their last replies


class ControlServer:
    """Serves one engine. The caller of `open` must hold `supervisor.lock`; it is opened once."""

    def __init__(
        self, home: Home, engine: Controlled, settings: SettingsStore, end: Callable[[], None]
    ) -> None:
        self._home = home
        self._engine = engine
        self._dispatch = Dispatch(home, engine, settings, end)
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._latest: EngineStatus | None = None
        self._closing = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="control accept", daemon=True)

    def open(self) -> None:
        """Bind the socket and serve. Raises HomeUnusable, DiskFull."""
        self._key = make_key(self._home)
        place = address(self._home)
        try:
            if os.name == "posix":
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(place)  # left by a supervisor that was killed: we hold its lock now
            self._listener = Listener(place, backlog=64)
            if os.name == "posix":
                os.chmod(place, 0o600)
        except OSError as error:
            raise unusable(self._home.root, error) from error
        self._unsubscribe = self._engine.subscribe(self._changed)
        self._acceptor.start()

    def close(self) -> None:
        """Send what is queued, end all connections and remove the socket."""
        self._unsubscribe()
        self._closing.set()
        with contextlib.suppress(OSError):
            Client(address(self._home)).close()  # wakes `accept`, on every system
        # If the home was deleted nothing wakes the thread; it is a daemon, and not joined.
        self._acceptor.join(FLUSH_SECONDS)
        with contextlib.suppress(OSError):
            self._listener.close()
        with self._lock:
            sessions = list(self._sessions)
        deadline = time.monotonic() + FLUSH_SECONDS
        for session in sessions:
            session.flush(max(0.0, deadline - time.monotonic()))
        for session in sessions:
            session.connection.end()
        for session in sessions:
            session.ended(FLUSH_SECONDS)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection = self._listener.accept()
            except OSError:
                log.exception("cannot accept a client")
                self._closing.wait(0.1)  # out of descriptors, perhaps: do not spin
                continue
            session = Session(connection, self._key, self._dispatch, self._welcome, self._leave)
            with self._lock:
                self._sessions.add(session)
            session.begin()

    def _changed(self, status: EngineStatus) -> None:
        with self._lock:  # all clients see the same order
            self._latest = status
            for session in self._sessions:
                session.outbox.offer(status)

    def _welcome(self, session: Session) -> None:
        """Queue the current status for a new client: the engine's, or a later one."""
        before = self._latest
        now = self._engine.status()
        with self._lock:
            latest = self._latest
            session.outbox.offer(now if latest is None or latest is before else latest)

    def _leave(self, session: Session) -> None:
        """A client is gone."""
        with self._lock:
            self._sessions.discard(session)
