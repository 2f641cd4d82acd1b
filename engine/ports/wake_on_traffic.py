"""Who comes to a published port of a machine that sleeps brings it back, and finds it awake.

Paused: the backend tells that something has arrived (`WakesOnTraffic`); it lies there until the
guest goes on. Put away: there is no machine, so the ports are ours (`follow`). Who connects waits,
and is led on when it is back; a datagram there wakes nobody, and is lost. Next: `host_forwarder.py`
(who asks for a port back), `engine/lifecycle/resource_saver.py`,
`vm/backends/qemu/wake_on_traffic.py`.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from vm.capabilities import WakesOnTraffic
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.host.forwarder import Forwarder, connect
from vm.host.paths import write_atomic
from vm.types import Forward, MachineState

log = logging.getLogger(__name__)

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where one that is on every address is met
READY = 2.0  # seconds; a hundredth of one on a quiet computer
AGAIN = 1.0  # seconds until one that could not listen tries again

Door = tuple[str, int]
"""An address of this computer and a TCP port of it."""


class Knocks:
    """`awake` brings the machine back, unless somebody else is about to, for whom `rest` waits.
    `traffic` None: a connection to a port of a paused machine wakes nothing. Any thread."""

    def __init__(
        self,
        directory: MachineDir,
        traffic: WakesOnTraffic | None,
        awake: Callable[[], object],
        rest: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._traffic = traffic
        self._awake = awake
        self._rest = rest
        self._lock = threading.RLock()
        self._state = MachineState.ABSENT
        self._listens = False
        self._ready = threading.Event()
        self._forwarder = Forwarder()
        self._doors: set[Door] = set()  # that are open

    def follow(self, state: MachineState, forwards: Iterable[Forward]) -> None:
        """The machine's state, as it changes, and what is carried at that moment."""
        with self._lock:
            self._state = state
            if state is MachineState.PAUSED and self._traffic is not None:
                self._listen(self._traffic)
            elif state is MachineState.STOPPING and self._directory.auto_suspended.exists():
                self._remember(forwards)
            elif state is MachineState.STOPPED and self._directory.auto_suspended.exists():
                self._open()
            elif state is not MachineState.STARTING:
                self.close()

    def is_ready(self) -> bool:
        """Whether it is heard who comes from now on; within READY seconds of the state PAUSED."""
        return self._ready.wait(READY)

    def leave(self, forward: Forward) -> None:
        """The machine is about to have it again, wherever that leads in there."""
        door = forward.host_address, forward.host_port
        with self._lock:
            if forward.protocol == "tcp" and door in self._doors:
                self._doors.remove(door)
                self._forwarder.close("tcp", door)

    def close(self) -> None:
        with self._lock:
            self._forwarder.close_all()
            self._doors.clear()

    # Paused

    def _listen(self, traffic: WakesOnTraffic) -> None:
        if not self._listens:
            self._listens = True
            self._ready.clear()
            threading.Thread(target=self._hear, args=(traffic,), name="knocks", daemon=True).start()

    def _hear(self, traffic: WakesOnTraffic) -> None:
        pause = threading.Event()
        while self._sleeps():
            try:
                if not traffic.wait(self._directory, self._ready.set):
                    break
                self._awake()
            except GalleyError as error:
                log.warning("who comes to a port may have to wait: %s", error.summary)
                pause.wait(AGAIN)
        with self._lock:
            self._listens = False

    def _sleeps(self) -> bool:
        with self._lock:
            self._listens = self._state is MachineState.PAUSED
            self._ready.clear()
            return self._listens

    # Put away

    def _remember(self, forwards: Iterable[Forward]) -> None:
        """For a supervisor after this one, too."""
        try:
            write_atomic(self._directory.doors, msgspec.json.encode(sorted(forwards)))
        except GalleyError as error:
            self._directory.doors.unlink(missing_ok=True)
            log.warning("nobody will be woken at a port: %s", error.summary)

    def _open(self) -> None:
        try:
            kept = msgspec.json.decode(self._directory.doors.read_bytes(), type=list[Forward])
        except (OSError, msgspec.MsgspecError):  # the machine published nothing
            return
        for forward in kept:
            door = forward.host_address, forward.host_port
            if forward.protocol != "tcp" or door in self._doors:
                continue
            try:
                self._forwarder.serve(door, partial(self._answer, door))
            except OSError as error:
                log.warning("nobody is woken at %s port %d: %s", *door, error)
                continue
            self._doors.add(door)

    def _answer(self, door: Door, near: socket.socket) -> None:
        """Raises OSError when it is lost."""
        try:
            self._awake()
        except GalleyError as error:
            log.warning("somebody came to %s port %d in vain: %s", *door, error.summary)
            return
        self._rest()
        if not self._is_ours(door):  # else it would lead here again
            connect(near, (EVERYWHERE.get(door[0], door[0]), door[1]))

    def _is_ours(self, door: Door) -> bool:
        with self._lock:
            return door in self._doors
