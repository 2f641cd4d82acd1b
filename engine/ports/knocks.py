"""Who comes to a published port of a machine that sleeps brings it back, and finds it awake.

Paused: the backend tells that something has arrived (`Backend.wait_knock`); it lies there until the
guest goes on. Put away: there is no machine, so the ports are ours (`follow`). Who connects waits,
and is led on when it is back; a datagram there wakes nobody, and is lost.
May import: `published.py`'s values, `vm`. Next: `carrier.py` (who asks for a port back),
`engine/saver.py`, `vm/backends/qemu/knock.py`.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.host.forwarder import Forwarder, both_ways
from vm.host.paths import write_atomic
from vm.types import Forward, MachineState

log = logging.getLogger(__name__)

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where one that is on every address is met
CONNECT = 10.0  # seconds


class Knocks:
    """`awake` brings the machine back, and returns when it can be talked to. Any thread."""

    def __init__(
        self, directory: MachineDir, backend: Backend, awake: Callable[[], object]
    ) -> None:
        self._directory = directory
        self._backend = backend
        self._awake = awake
        self._turn = threading.RLock()
        self._state = MachineState.ABSENT
        self._listens = False
        self._doors = Forwarder()
        self._kept: frozenset[Forward] = frozenset()  # doors that are open

    def follow(self, state: MachineState, forwards: Iterable[Forward]) -> None:
        """The machine's state, as it changes, and what is carried at that moment."""
        with self._turn:
            self._state = state
            if state is MachineState.PAUSED and self._backend.features.knocks:
                self._listen()
            elif state is MachineState.STOPPING and self._directory.put_away.exists():
                write_atomic(self._directory.doors, msgspec.json.encode(sorted(forwards)))
            elif state is MachineState.STOPPED and self._directory.put_away.exists():
                self._open()
            elif state is not MachineState.STARTING:
                self.close()

    def leave(self, forward: Forward) -> None:
        """The machine has it again."""
        with self._turn:
            if forward in self._kept:
                self._kept -= {forward}
                self._doors.close("tcp", (forward.host_address, forward.host_port))

    def close(self) -> None:
        with self._turn:
            self._doors.close_all()
            self._kept = frozenset()

    # Paused

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            threading.Thread(target=self._hear, name="knocks", daemon=True).start()

    def _hear(self) -> None:
        while self._sleeps():
            try:
                if not self._backend.wait_knock(self._directory):
                    break
                self._awake()
            except GalleyError as error:
                log.warning("who comes to a port may wait for ever: %s", error.summary)
                break
        with self._turn:
            self._listens = False

    def _sleeps(self) -> bool:
        with self._turn:
            self._listens = self._state is MachineState.PAUSED
            return self._listens

    # Put away

    def _open(self) -> None:
        try:
            kept = msgspec.json.decode(self._directory.doors.read_bytes(), type=list[Forward])
        except (OSError, msgspec.MsgspecError):  # the machine published nothing
            return
        for forward in kept:
            if forward.protocol != "tcp" or forward in self._kept:
                continue
            here = (forward.host_address, forward.host_port)
            try:
                self._doors.serve(here, partial(self._answer, here))
            except OSError as error:
                log.warning("nobody is woken at %s port %d: %s", *here, error)
                continue
            self._kept |= {forward}

    def _answer(self, here: tuple[str, int], near: socket.socket) -> None:
        """Raises OSError when it is lost."""
        try:
            self._awake()
        except GalleyError as error:
            log.warning("somebody came to %s port %d in vain: %s", *here, error.summary)
            return
        there = (EVERYWHERE.get(here[0], here[0]), here[1])
        with socket.create_connection(there, CONNECT) as far:
            far.settimeout(None)
            both_ways(near, far)
