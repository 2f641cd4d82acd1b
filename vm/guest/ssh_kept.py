"""One connection that all callers share, made again when it is lost.

Independent of ssh: `ssh.py` supplies the connect function. The rules:

- many callers, one attempt: a caller during an attempt waits, and shares its outcome;
- a connection that was silent while a caller waited is replaced only by one that answers,
  and not if data arrived meanwhile: slow is not dead, and other streams use it.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from vm.errors import GuestUnreachable, MachineError, Problem, from_problem
from vm.messages import Message
from vm.messages.guest import GUEST_CONNECTION_CLOSED, GUEST_SILENT, GUEST_STOPPED_ANSWERING

log = logging.getLogger(__name__)

LIMIT = 5.0  # seconds for a connection that a call makes by itself
PATIENCE = 1.5  # seconds of refusals that such a call sits out: the guest may restart its sshd
ATTEMPT = 10.0  # seconds for one try
TRIES = 3  # of a call: more than two only when the guest is slow


class Lost(Exception):
    """The connection is dead, or was silent for too long while a caller waited for an answer."""


class Connection(Protocol):
    @property
    def alive(self) -> bool: ...

    @property
    def heard(self) -> float:
        """When data last arrived (`time.monotonic`)."""

    def close(self) -> None: ...


class Kept[C: Connection]:
    """`connect` makes a connection within that many seconds, raises OSError or a MachineError.

    OSError means that a retry may help, for `patience` seconds.
    """

    def __init__(self, connect: Callable[[float], C], patience: float = PATIENCE) -> None:
        self._connect = connect
        self._patience = patience
        self._kept: C | None = None
        self._connecting = threading.Lock()
        self._failure: Problem | None = None
        self._failed_at = 0.0
        self._closing = threading.Event()

    def use[T](self, work: Callable[[C], T]) -> T:
        """Run `work`; once more, on a new connection, when it raises Lost."""
        connection = self.get(LIMIT, self._patience)
        for _ in range(TRIES - 1):
            try:
                return work(connection)
            except Lost:
                connection = self.get(LIMIT, self._patience, lost=connection)
        try:
            return work(connection)
        except Lost as error:
            raise unreachable(GUEST_STOPPED_ANSWERING) from error

    def get(self, limit: float, patience: float, lost: C | None = None) -> C:
        """The connection, unless it is dead or `lost`; else a new one."""
        asked = time.monotonic()
        if (kept := self._usable(lost)) is not None:
            return kept
        with self._connecting:
            if (kept := self._usable(lost)) is not None:
                return kept
            if lost is not None and _only_slow(lost, asked):
                return lost
            if self._failure is not None and self._failed_at >= asked:
                raise from_problem(self._failure)
            try:
                made = self._reach(asked + limit, asked + patience)
            except MachineError as error:
                self._failure, self._failed_at = error.to_problem(), time.monotonic()
                raise
            return self._keep(made, lost, asked)

    def close(self) -> None:
        self._closing.set()
        if self._kept is not None:
            self._kept.close()

    def _usable(self, lost: C | None) -> C | None:
        kept = self._kept
        return kept if kept is not None and kept is not lost and kept.alive else None

    def _keep(self, made: C, lost: C | None, asked: float) -> C:
        if lost is not None:
            if _only_slow(lost, asked):
                made.close()
                return lost
            log.info("the connection was silent for too long, and is replaced")
            lost.close()
        self._kept = made
        if self._closing.is_set():
            made.close()
        return made

    def _reach(self, until: float, patient_until: float) -> C:
        while not self._closing.is_set():
            try:
                return self._connect(min(max(0.5, until - time.monotonic()), ATTEMPT))
            except OSError as error:
                if time.monotonic() >= patient_until:
                    raise unreachable(str(error)) from error
            self._closing.wait(0.05)
        raise unreachable(GUEST_CONNECTION_CLOSED)


def _only_slow(connection: Connection, asked: float) -> bool:
    return connection.alive and connection.heard > asked


def unreachable(why: str | Message) -> GuestUnreachable:
    return GuestUnreachable(GUEST_SILENT, reason=why)
