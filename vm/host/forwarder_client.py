"""Client for the forwarder process; starts it when needed.

The process outlives its client and serves the next one, which requests the list of forwards from
it. Next: `forwarder_process.py`.
"""

import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Client
from pathlib import Path

import msgspec

from vm.errors import HostError
from vm.host import process
from vm.host.forwarder import Address
from vm.host.forwarder_process import LIMIT, Answer, Carried, Request, address
from vm.messages.host import PORT_FORWARDER_FAILED

MODULE = "vm.host.forwarder_process"
STARTS_WITHIN = 10.0  # seconds; a tenth of one on a quiet computer
ANSWERS_WITHIN = 5.0  # seconds
POLL = 0.005  # seconds between two polls
AWAY = (ConnectionError, FileNotFoundError, EOFError)


class ForwarderClient:
    """`directory`: where the process has its socket; only this user may enter it. `other`: the
    process with which it ends. Not thread-safe."""

    def __init__(
        self, directory: Path, log: Path, other: Callable[[], process.Identity | None]
    ) -> None:
        self._directory = directory
        self._log = log
        self._other = other
        self._started: process.Identity | None = None  # by us, so ours to reap

    def open(self, protocol: str, here: Address, there: Address) -> None:
        """Start forwarding; idempotent. Raises OSError when `here` cannot be bound, HostError when
        the process cannot be started."""
        request = Request("open", Carried(protocol, here, there))
        try:
            self._ask(request)
        except AWAY:
            self._start()
            self._ask(request)

    def close(self, forward: Carried) -> None:
        """Does nothing where it is not forwarded. Raises HostError."""
        self._ask_if_there(Request("close", forward))

    def carried(self) -> tuple[Carried, ...]:
        """Raises HostError."""
        return self._ask_if_there(Request("list")).carried

    def end(self) -> None:
        """End the process with all its forwards. Raises HostError."""
        self._ask_if_there(Request("end"))
        if self._started is not None:
            process.wait_gone(self._started, ANSWERS_WITHIN)
            self._started = None

    def _ask_if_there(self, request: Request) -> Answer:
        try:
            return self._ask(request)
        except AWAY:
            return Answer()
        except OSError as error:
            raise _broken(str(error)) from error

    def _ask(self, request: Request) -> Answer:
        """Raises the request's OSError, one of AWAY, HostError."""
        with Client(address(self._directory)) as connection:
            connection.send_bytes(msgspec.json.encode(request))
            if not connection.poll(ANSWERS_WITHIN):
                raise _broken("It does not answer.")
            try:
                answer = msgspec.json.decode(connection.recv_bytes(LIMIT * 16), type=Answer)
            except msgspec.MsgspecError as error:
                raise _broken(f"Its answer is not understood: {error}") from error
        if answer.errno is not None:
            raise OSError(answer.errno, answer.failure)
        return answer

    def _start(self) -> None:
        other = self._other()
        if other is None:
            raise _broken("No virtual machine runs.")
        ours = str(Path(__file__).parents[2])
        paths = [ours, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        # -P: a directory called vm in the working directory is not ours.
        words = (sys.executable, "-P", "-m", MODULE, self._directory, other.pid, other.started)
        process.reap()  # one that has ended by itself
        self._started = identity = process.spawn_detached(
            [str(word) for word in words],
            log=self._log,
            env={"PYTHONPATH": os.pathsep.join(paths)},
        )
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until and not process.wait_gone(identity, POLL):
            try:
                self._ask(Request("list"))
                return
            except AWAY:
                continue
        raise _broken(f"It did not start. Its output is in {self._log}.")


def _broken(details: str) -> HostError:
    return HostError(
        PORT_FORWARDER_FAILED,
        details=details,
    )
