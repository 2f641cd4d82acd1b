"""The client's end of the control socket.

Kept light, for `galley status` has a quarter of a second in total. A client belongs to one thread:
open two to call and to follow at the same time. `close` may be called from any thread.
"""

import os
from collections.abc import Callable, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
from types import TracebackType
from typing import cast

import msgspec

from engine.control.connection import LocalConnection, SharedConnection
from engine.control.protocol import (
    MESSAGE_LIMIT,
    Hello,
    Push,
    Reply,
    Request,
    address,
    check_version,
    decode_answer,
    decode_hello,
    encode,
    read_key,
)
from engine.json_input import UNREADABLE
from engine.messages.engine import (
    SUPERVISOR_END_IT,
    SUPERVISOR_END_PROCESS,
    SUPERVISOR_INCOMPATIBLE,
    SUPERVISOR_NO_KEY,
    SUPERVISOR_NOT_RUNNING,
    SUPERVISOR_OTHER_KEY,
    SUPERVISOR_SILENT,
    SUPERVISOR_UNREACHABLE,
    SUPERVISOR_WENT_AWAY,
)
from engine.types import EngineStatus
from vm.errors import SupervisorGone, VersionMismatch, from_problem
from vm.host.logs import tail
from vm.host.paths import Home, check_home
from vm.messages import Text

HANDSHAKE_SECONDS = 10.0


class NoSupervisor(SupervisorGone):
    """No supervisor is running: nothing is at its address, or what was there has just ended."""


class ControlClient:
    """An open connection to the supervisor."""

    def __init__(self, home: Home, connection: SharedConnection, hello: Hello) -> None:
        self.hello = hello
        self._home = home
        self._connection = connection
        self._closed = False
        self._last_id = 0
        self._latest: EngineStatus | None = None

    @classmethod
    def connect(cls, home: Home, *, any_version: bool = False) -> "ControlClient":
        """Raises NoSupervisor, SupervisorGone, VersionMismatch (unless `any_version`), and
        HomeUnusable where another user may have put the socket or the key there."""
        connection = SharedConnection(_reach(home))
        try:
            hello = _shake_hands(home, connection)
            if not any_version:
                check_version(hello)
        except BaseException:
            connection.close()
            raise
        return cls(home, connection, hello)

    def call(
        self,
        method: str,
        params: object = None,
        on_push: Callable[[EngineStatus], object] | None = None,
    ) -> msgspec.Raw:
        """Call a method and wait for its reply; `on_push` gets every change meanwhile.

        Raises what the supervisor raised, or SupervisorGone as soon as it dies. After an
        interrupted call the client can be used for the next one (`cancel`).
        """
        self._last_id += 1
        request = Request(self._last_id, method, msgspec.Raw(encode(params or {})))
        try:
            self._connection.send_bytes(encode(request))
        except OSError as error:
            raise _gone(self._home) from error
        while True:
            answer = self._receive()
            if isinstance(answer, Push):
                self._latest = answer.status
                if on_push is not None:
                    on_push(answer.status)
            elif answer.id in (request.id, 0):
                if answer.problem is not None:
                    raise from_problem(answer.problem)
                return answer.result

    def status(self) -> EngineStatus:
        """The current status."""
        return msgspec.json.decode(self.call("status"), type=EngineStatus)

    def statuses(self) -> Iterator[EngineStatus]:
        """The current status, then every change (for a slow reader only the latest), until `close`.

        Raises SupervisorGone when the supervisor ends.
        """
        if self._latest is not None:
            yield self._latest
        while True:
            try:
                answer = self._receive()
            except SupervisorGone:
                if self._closed:
                    return
                raise
            if isinstance(answer, Push):
                yield answer.status

    def close(self) -> None:
        """End the connection. Blocked calls return. Any thread."""
        self._closed = True
        self._connection.close()

    def __enter__(self) -> "ControlClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self) -> Push | Reply:
        try:
            answer: Push | Reply = decode_answer(self._connection.recv_bytes(MESSAGE_LIMIT))
        except (EOFError, OSError, *UNREADABLE) as error:
            raise _gone(self._home) from error
        return answer


def _reach(home: Home) -> LocalConnection:
    if not os.path.lexists(home.run):
        raise _no_supervisor()
    check_home(home)
    try:
        return Client(address(home))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise _no_supervisor() from error
    except OSError as error:
        raise SupervisorGone(
            SUPERVISOR_UNREACHABLE,
            reason=error.strerror or error,
            end=_ending_hint(home),
            details=str(error),
        ) from error


def _shake_hands(home: Home, connection: SharedConnection) -> Hello:
    """Prove the key to each other, and read the Hello."""
    key = read_key(home)
    if key is None:
        raise SupervisorGone(
            SUPERVISOR_NO_KEY,
            end=_ending_hint(home),
            details="run/control.key is gone",
        )
    try:
        _await(home, connection)
        answer_challenge(cast(Connection, connection), key)
        deliver_challenge(cast(Connection, connection), key)
        _await(home, connection)
        return decode_hello(connection.recv_bytes(MESSAGE_LIMIT))
    except AuthenticationError as error:
        raise SupervisorGone(
            SUPERVISOR_OTHER_KEY,
            end=_ending_hint(home),
            details=f"{error}; the key is in run/control.key",
        ) from error
    except (EOFError, OSError) as error:  # the supervisor was ending
        raise _no_supervisor() from error
    except UNREADABLE as error:
        raise VersionMismatch(
            SUPERVISOR_INCOMPATIBLE,
            end=_ending_hint(home),
            details=str(error),
        ) from error


def _await(home: Home, connection: SharedConnection) -> None:
    if not connection.poll(HANDSHAKE_SECONDS):
        raise SupervisorGone(
            SUPERVISOR_SILENT,
            seconds=HANDSHAKE_SECONDS,
            end=_ending_hint(home),
        )


def _no_supervisor() -> NoSupervisor:
    return NoSupervisor(SUPERVISOR_NOT_RUNNING)


def _ending_hint(home: Home) -> Text:
    try:
        pid = (home.run / "supervisor.pid").read_text().strip()
    except OSError:
        return SUPERVISOR_END_IT.text()
    return SUPERVISOR_END_PROCESS.text(pid=pid)


def _gone(home: Home) -> SupervisorGone:
    return SupervisorGone(
        SUPERVISOR_WENT_AWAY,
        details=tail(home.logs / "supervisor.log"),
    )
