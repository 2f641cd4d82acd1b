"""From the docker socket on this host to dockerd in the guest.

A thread accepts; each connection gets two threads (`pump.py`), which block and cost nothing while
nothing flows. The bridge parses only requests that create or start a container or change the swarm
(`requests.py`); `admission` may refuse, change or delay these. While there is no engine to reach,
it reads a request's head and answers 503 with the reason, at once. A paused engine is resumed first
(`activity.py`), by a new connection or by bytes on an open one. One that the resource saver has
suspended is resumed only by a request that needs it (`deferred.py`).

The listener stays bound from `open` to `close`, whatever happens to the machine. A dial retries
once when its connection turns out to be dead (`vm/guest/ssh_kept.py`). Next: `pump.py`,
`requests.py`, `activity.py`, `unix.py`, `engine/dockerapi/http.py`.
"""

import contextlib
import itertools
import logging
import threading
import time
from typing import Protocol

from engine.bridge.activity import NULL_MONITOR, ActivityMonitor
from engine.bridge.deferred import DeferredStream
from engine.bridge.pump import Admission, Client, NoAdmission, Pump
from engine.dockerapi.http import CHUNK, HttpError, Reader, refusal
from engine.messages.engine import BRIDGE_NOT_DOCKER, ENGINE_DOWN
from vm.errors import EngineUnreachable, GalleyError, Problem
from vm.guest.protocol import Stream

log = logging.getLogger(__name__)

HEAD_DEADLINE = 2.0  # seconds for a request that we only refuse
DRAIN_DEADLINE = 1.0  # seconds for what a refused client still sends
PAUSE = 0.1  # seconds without accepting after an accept has failed (too many open files)


class Listener(Protocol):
    """The interface of `unix.UnixListener`; on Windows a named pipe will implement it."""

    def open(self) -> None:
        """Raises MachineBusy, HomeUnusable."""

    def accept(self) -> Client:
        """Blocks. Raises ConnectionAbortedError once `wake` was called, OSError to be retried."""

    def wake(self) -> None: ...

    def close(self) -> None: ...


class Dockerd(Protocol):
    """`engine.lifecycle.dockerd_access.DockerdAccess`. For any thread."""

    def dial(self) -> Stream:
        """Raises OSError, GalleyError."""

    def why_down(self) -> Problem | None:
        """Why dockerd cannot be dialled now, if so."""


class Bridge:
    """`admission` sees every creation, every start and every new or left swarm before dockerd does.
    `monitor` counts what clients do."""

    def __init__(
        self,
        listener: Listener,
        dockerd: Dockerd,
        admission: Admission | None = None,
        monitor: ActivityMonitor = NULL_MONITOR,
    ) -> None:
        self._listener = listener
        self._dockerd = dockerd
        self._admission = admission or NoAdmission()
        self._monitor = monitor
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._serving: dict[threading.Thread, Client | Pump] = {}
        self._accepting: threading.Thread | None = None
        self._closing = threading.Event()

    @property
    def open_connections(self) -> int:
        return len(self._serving)

    def open(self) -> None:
        """Bind and begin to accept. Raises MachineBusy, HomeUnusable."""
        self._listener.open()
        self._accepting = threading.Thread(target=self._accept, name="bridge-accept", daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Cut every connection, remove the socket, end the threads."""
        self._closing.set()
        self._listener.wake()
        if self._accepting is not None:
            self._accepting.join()
        with self._lock:
            serving = dict(self._serving)
        for held in serving.values():
            held.end()
        for thread in serving:
            thread.join(timeout=5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client = self._listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError as error:
                log.warning("cannot accept a docker client: %s", error)
                self._closing.wait(PAUSE)
                continue
            self._serve_in_thread(client)

    def _serve_in_thread(self, client: Client) -> None:
        name = f"bridge-{next(self._numbers)}"
        thread = threading.Thread(target=self._serve, args=(client,), name=name, daemon=True)
        with self._lock:
            self._serving[thread] = client
        try:
            thread.start()
        except RuntimeError as error:  # can't start new thread
            log.warning("too many connections: %s", error)
            self._leave(thread, client)

    def _serve(self, client: Client) -> None:
        thread = threading.current_thread()
        try:
            away = self._monitor.is_suspended() and self._dockerd.why_down() is not None
            guest = (
                DeferredStream(self._monitor, self._reach, self._is_back) if away else self._reach()
            )
            if isinstance(guest, Problem):
                _refuse(client, guest)
            else:
                self._carry(thread, client, guest)
        finally:
            self._leave(thread, client)

    def _leave(self, thread: threading.Thread, client: Client) -> None:
        client.close()
        with self._lock:
            self._serving.pop(thread, None)

    def _reach(self) -> Stream | Problem:
        self._monitor.begin()
        try:
            self._monitor.awake()
            return self._dockerd.why_down() or self._dockerd.dial()
        except GalleyError as error:
            return self._dockerd.why_down() or error.to_problem()
        except OSError as error:
            return self._dockerd.why_down() or _no_engine(error)
        finally:
            self._monitor.end()

    def _is_back(self) -> bool:
        return self._dockerd.why_down() is None

    def _carry(self, thread: threading.Thread, client: Client, guest: Stream) -> None:
        pump = Pump(client, guest, self._admission, self._monitor)
        with self._lock:
            self._serving[thread] = pump
        if self._closing.is_set():
            pump.end()
        pump.run(f"{thread.name}-up")
        log.debug("%s: %d bytes up, %d down", thread.name, pump.up, pump.down)


def _no_engine(error: OSError) -> Problem:
    return EngineUnreachable(
        ENGINE_DOWN,
        details=str(error),
    ).to_problem()


def _refuse(client: Client, problem: Problem) -> None:
    """Read the request first: a client that is answered before it has sent its request sees a
    reset."""
    until = time.monotonic() + HEAD_DEADLINE

    def receive(limit: int) -> bytes:
        return client.recv_within(limit, until - time.monotonic())

    with contextlib.suppress(OSError):
        try:
            answer = refusal(problem, Reader(receive).head().method)
        except TimeoutError:
            answer = refusal(problem)
        except HttpError as error:
            wrong = GalleyError(BRIDGE_NOT_DOCKER, reason=error, problem=problem.text)
            answer = refusal(wrong.to_problem(), status=error.status or 400)
        client.sendall(answer)
        client.shutdown_write()
        until = time.monotonic() + DRAIN_DEADLINE
        while time.monotonic() < until and receive(CHUNK):
            pass
