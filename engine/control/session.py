"""One client of the supervisor, from its connection to its end.

Three kinds of threads: the reader owns the connection and closes it, the writer sends what is in
the outbox, and each request has a thread that does its work. Next: `outbox.py`, `dispatch.py`.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import cast

from engine import __version__
from engine.control.connection import LocalConnection, SharedConnection
from engine.control.dispatch import Dispatch
from engine.control.outbox import Outbox
from engine.control.protocol import (
    PROTOCOL,
    REQUEST_LIMIT,
    Hello,
    Reply,
    Request,
    decode_request,
    encode,
)
from engine.json_input import UNREADABLE
from engine.messages.engine import CONTROL_MALFORMED
from vm.errors import ControlError, Retry

log = logging.getLogger(__name__)


class Session:
    """`welcome` is called once the client has proved the key, `leave` before its end."""

    def __init__(
        self,
        connection: LocalConnection,
        key: bytes,
        dispatch: Dispatch,
        welcome: Callable[["Session"], None],
        leave: Callable[["Session"], None],
    ) -> None:
        self.connection = SharedConnection(connection)
        self.outbox = Outbox()
        self._key = key
        self._dispatch = dispatch
        self._welcome = welcome
        self._leave = leave
        self._ending = threading.Lock()
        self._has_ended = False
        self._at_end: list[Callable[[], None]] = []
        self._reader = threading.Thread(target=self._run, name="control reader", daemon=True)
        self._writer = threading.Thread(target=self._write, name="control writer", daemon=True)

    def begin(self) -> None:
        self._reader.start()

    def flush(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until the queue is sent."""
        self.outbox.close()
        if self._writer.is_alive():
            self._writer.join(timeout)

    def ended(self, timeout: float) -> bool:
        """Whether the connection was closed within `timeout` seconds."""
        self._reader.join(timeout)
        return not self._reader.is_alive()

    def _run(self) -> None:
        try:
            self._greet()
            self._writer.start()
            self._read()
        except AuthenticationError as error:
            log.warning("a client was refused: %s", error)
        except (EOFError, OSError) as error:
            log.debug("a client went away: %s", error)
        finally:
            self._leave(self)
            self.outbox.close()
            self.connection.close()
            self._end()

    def _greet(self) -> None:
        as_connection = cast(Connection, self.connection)
        deliver_challenge(as_connection, self._key)
        answer_challenge(as_connection, self._key)
        self.connection.send_bytes(encode(Hello(PROTOCOL, __version__, os.getpid())))
        self._welcome(self)

    def _read(self) -> None:
        while True:
            data = self.connection.recv_bytes(REQUEST_LIMIT)
            if not self.outbox.admit():
                return
            try:
                request = decode_request(data)
            except UNREADABLE as error:
                self.outbox.reply(_malformed(error))
                continue
            threading.Thread(
                target=self._work, args=(request,), name=f"control {request.method}", daemon=True
            ).start()

    def _work(self, request: Request) -> None:
        reply = self._dispatch.answer(request, self._keep)
        self.outbox.reply(reply)
        self._dispatch.follow(request, reply)

    def _keep(self, at_end: Callable[[], None]) -> None:
        """Call `at_end` when the client disconnects; at once if it already has."""
        with self._ending:
            has_ended = self._has_ended
            if not has_ended:
                self._at_end.append(at_end)
        if has_ended:
            at_end()

    def _end(self) -> None:
        with self._ending:
            self._has_ended = True
        for at_end in self._at_end:
            at_end()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while message := self.outbox.take():
                self.connection.send_bytes(encode(message))
        self.outbox.close()
        self.connection.end()


def _malformed(error: Exception) -> Reply:
    problem = ControlError(CONTROL_MALFORMED, error=error, retry=Retry.NO)
    return Reply(0, problem=problem.to_problem())
