"""Bytes both ways between a client and the guest, until both ways have ended.

Each direction ends by itself: a half-close arrives as a half-close, so that `docker run -i` may
read what comes after the end of its input. A side that is lost ends both. A slow reader stops its
writer: nothing is kept here but the one block in hand, and what `Requests` waits for. Where the
guest's stream supports it (`Prompt`), an answer goes to the client without waking a thread, unless
it has to wait: a client that gets a start event finds the container's ports open, and a client
whose swarm is made or left finds live-restore set (`Admission`). Next: `bridge.py`, `deferred.py`.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from engine.bridge.activity import ActivityMonitor, ConnectionActivity, is_interim
from engine.bridge.deferred import DeferredStream
from engine.bridge.requests import Requests
from engine.dockerapi.http import refusal
from vm.errors import GalleyError, NotShared
from vm.guest.protocol import Prompt, Stream

BLOCK = 256 * 1024  # bytes read at once; a socket gives what it has
STARTED = b'"start"'  # in an event


class Client(Stream, Protocol):
    """A local connection. Its descriptor is closed by its owner alone, when no thread uses it."""

    def end(self) -> None:
        """End both directions, from any thread; the owner calls `close`. Never raises."""

    def recv_within(self, limit: int, seconds: float) -> bytes:
        """As `recv`; raises TimeoutError."""

    def send_now(self, data: bytes) -> int:
        """The number of bytes that could be sent without blocking. Raises OSError."""


Answered = Callable[[], None]
"""What to do between dockerd's answer and the client."""


class Admission(Protocol):
    """`engine.admission.admission.Admission`. A request that raises GalleyError is not passed
    on."""

    def create_container(self, body: bytes) -> bytes:
        """The body to send instead."""

    def create_service(self, body: bytes) -> tuple[bytes, Answered | None]:
        """The same for a service that is created or updated."""

    def init_swarm(self, body: bytes) -> bytes:
        """The body to send for a new swarm, after `swarm`."""

    def start(self, container: str) -> Answered | None:
        """The container, by name or id, is about to start or restart."""

    def swarm(self, verb: str) -> Answered | None:
        """dockerd is about to "init", "join" or "leave" a swarm."""

    def settle(self) -> None:
        """Returns when the ports of every container that runs now are open."""


class NoAdmission:
    """Passes every request on unchanged."""

    def create_container(self, body: bytes) -> bytes:
        return body

    def create_service(self, body: bytes) -> tuple[bytes, Answered | None]:
        return body, None

    def init_swarm(self, body: bytes) -> bytes:
        return body

    def start(self, container: str) -> Answered | None:
        return None

    def swarm(self, verb: str) -> Answered | None:
        return None

    def settle(self) -> None: ...


class Pump:
    """One client and its stream in the guest. `run` returns when both are closed."""

    def __init__(
        self, client: Client, guest: Stream, admission: Admission, monitor: ActivityMonitor
    ) -> None:
        self._client = client
        self._guest = guest
        self._requests = Requests(self, client.sendall)
        self._admission = admission
        self._monitor = monitor
        self._activity = ConnectionActivity(monitor)
        self._before_answer: Answered | None = None
        self._has_events = False
        self._before = b""  # the end of the block before, while there are events
        self.up = 0  # bytes carried to the guest
        self.down = 0  # bytes carried to the client

    def run(self, name: str) -> None:
        """Carry one direction in this thread and the other in a thread called `name`. A direction
        that fails ends both, whatever the failure."""
        upward = threading.Thread(target=self._carry_up, name=name, daemon=True)
        with contextlib.closing(self._client), contextlib.closing(self._guest):
            upward.start()
            try:
                self._carry_down()
            finally:
                upward.join()
                self._activity.over()
                self._let_pass()

    def end(self) -> None:
        """Cut both directions, from any thread; `run` then returns."""
        self._client.end()
        self._guest.close()

    def create_container(self, body: bytes) -> bytes:
        return self._admission.create_container(body)

    def create_service(self, body: bytes) -> bytes:
        self._let_pass()
        body, self._before_answer = self._admission.create_service(body)
        return body

    def init_swarm(self, body: bytes) -> bytes:
        return self._admission.init_swarm(body)

    def start(self, container: str) -> None:
        self._let_pass()
        self._before_answer = self._admission.start(container)

    def swarm(self, verb: str) -> None:
        self._let_pass()
        self._before_answer = self._admission.swarm(verb)

    def asked(self, target: bytes) -> None:
        self._activity.asked(target)

    def events(self) -> None:
        self._has_events = True

    def _carry_down(self) -> None:
        is_whole = False
        try:
            if isinstance(self._guest, Prompt):
                self._guest.give_at_once(self._give)
            while data := self._guest.recv(BLOCK):
                if not is_interim(data):
                    self._let_pass()
                if self._has_events and self._ends_start_event(data):
                    self._admission.settle()
                self._activity.answers(data)
                self._client.sendall(data)
                self._went(data)
            self._client.shutdown_write()
            is_whole = True
        except OSError:
            with contextlib.suppress(OSError):
                self._client.sendall(self._activity.ending())
        finally:
            if not is_whole:
                self.end()

    def _went(self, data: bytes) -> None:
        self._activity.went(data)
        self.down += len(data)

    def _ends_start_event(self, data: bytes) -> bool:
        """Whether the event of a start ends in this block; it may have begun in the one before."""
        seen = self._before + data
        self._before = seen[-len(STARTED) + 1 :]
        return STARTED in seen

    def _let_pass(self) -> None:
        before, self._before_answer = self._before_answer, None
        if before is not None:
            before()

    def _give(self, data: bytes) -> int:
        if self._before_answer is not None or self._has_events:
            return 0
        self._activity.answers(data)
        sent = self._client.send_now(data)
        self._went(data[:sent])
        return sent

    def _carry_up(self) -> None:
        is_whole = False
        try:
            while data := self._client.recv(BLOCK):
                self._send(self._requests.feed(data))
            self._send(self._requests.rest())
            if self._requests.may_be_hijacked:  # else the client is gone: no need to wake
                self._monitor.awake()
            self._guest.shutdown_write()
            is_whole = True
        except GalleyError as error:
            self._refuse(error)
        except OSError:
            pass
        finally:
            if not is_whole:
                self.end()

    def _send(self, data: bytes) -> None:
        if data:
            if not isinstance(self._guest, DeferredStream) or self._guest.has_begun:
                self._monitor.awake(not self._activity.only_looks)
            self._guest.sendall(data)
            self.up += len(data)

    def _refuse(self, error: GalleyError) -> None:
        """Answer instead of dockerd. No answer of dockerd is pending: clients wait for one before
        they send the next request."""
        with contextlib.suppress(OSError):
            status = 400 if isinstance(error, NotShared) else 500  # as dockerd does
            self._client.sendall(refusal(error.to_problem(), status=status))
