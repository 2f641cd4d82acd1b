"""Wakes the machine when traffic arrives at a published port.

Paused: the backend reports traffic (`WakesOnTraffic`), and delivers it once the guest continues.
Auto-suspended: no machine runs, so the supervisor itself listens on the published TCP ports. A
connection resumes the machine, waits until it runs, and is forwarded to it then. UDP datagrams do
not resume a suspended machine, and are lost. Next: `host_forwarder.py`, which takes the ports back,
`engine/lifecycle/resource_saver.py`, `vm/backends/qemu/wake_on_traffic.py`.
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

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a listener on every address is reached
READY = 2.0  # seconds; a hundredth of one on a quiet computer
AGAIN = 1.0  # seconds until the backend is called again after a failure

HostAddress = tuple[str, int]
"""An address of this computer and a TCP port of it."""


class PortWaker:
    """`wake`: resumes the machine, or returns at once where that is under way; `wait` returns when
    it has ended. `traffic` None: traffic does not wake a paused machine. Any thread."""

    def __init__(
        self,
        directory: MachineDir,
        traffic: WakesOnTraffic | None,
        wake: Callable[[], object],
        wait: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._traffic = traffic
        self._wake = wake
        self._wait = wait
        self._lock = threading.RLock()
        self._state = MachineState.ABSENT
        self._listens = False
        self._ready = threading.Event()
        self._forwarder = Forwarder()
        self._listeners: set[HostAddress] = set()

    def follow(self, state: MachineState, forwards: Iterable[Forward]) -> None:
        """The machine's state has changed. `forwards`: those that are open now."""
        with self._lock:
            self._state = state
            if state is MachineState.PAUSED and self._traffic is not None:
                self._listen(self._traffic)
            elif state is MachineState.STOPPING and self._directory.auto_suspended.exists():
                self._save_forwards(forwards)
            elif state is MachineState.STOPPED and self._directory.auto_suspended.exists():
                self._open_listeners()
            elif state is not MachineState.STARTING:
                self.close()

    def is_ready(self) -> bool:
        """Whether traffic wakes the paused machine from now on. Waits up to READY seconds for
        it."""
        return self._ready.wait(READY)

    def release(self, forward: Forward) -> None:
        """Close our listener on this host port: the machine's forward is about to open."""
        address = forward.host_address, forward.host_port
        with self._lock:
            if forward.protocol == "tcp" and address in self._listeners:
                self._listeners.remove(address)
                self._forwarder.close("tcp", address)

    def close(self) -> None:
        with self._lock:
            self._forwarder.close_all()
            self._listeners.clear()

    # Paused

    def _listen(self, traffic: WakesOnTraffic) -> None:
        if not self._listens:
            self._listens = True
            self._ready.clear()
            threading.Thread(
                target=self._wait_for_traffic, args=(traffic,), name="wake-on-traffic", daemon=True
            ).start()

    def _wait_for_traffic(self, traffic: WakesOnTraffic) -> None:
        pause = threading.Event()
        while self._is_paused():
            try:
                if not traffic.wait(self._directory, self._ready.set):
                    break
                self._wake()
            except GalleyError as error:
                log.warning("traffic may not wake the paused machine: %s", error.summary)
                pause.wait(AGAIN)
        with self._lock:
            self._listens = False

    def _is_paused(self) -> bool:
        with self._lock:
            self._listens = self._state is MachineState.PAUSED
            self._ready.clear()
            return self._listens

    # Auto-suspended

    def _save_forwards(self, forwards: Iterable[Forward]) -> None:
        """On disk, so that the next supervisor listens there too."""
        try:
            write_atomic(self._directory.wake_ports, msgspec.json.encode(sorted(forwards)))
        except GalleyError as error:
            self._directory.wake_ports.unlink(missing_ok=True)
            log.warning("connections will not resume the machine: %s", error.summary)

    def _open_listeners(self) -> None:
        try:
            kept = msgspec.json.decode(self._directory.wake_ports.read_bytes(), type=list[Forward])
        except (OSError, msgspec.MsgspecError):  # the machine published nothing
            return
        for forward in kept:
            address = forward.host_address, forward.host_port
            if forward.protocol != "tcp" or address in self._listeners:
                continue
            try:
                self._forwarder.serve(address, partial(self._serve_connection, address))
            except OSError as error:
                log.warning(
                    "connections to %s port %d do not resume the machine: %s", *address, error
                )
                continue
            self._listeners.add(address)

    def _serve_connection(self, address: HostAddress, near: socket.socket) -> None:
        """Resume the machine, then forward the connection. Raises OSError when it is lost."""
        try:
            self._wake()
        except GalleyError as error:
            log.warning(
                "a connection to %s port %d did not resume the machine: %s", *address, error.summary
            )
            return
        self._wait()
        if not self._is_ours(address):  # else it would connect to ourselves
            connect(near, (EVERYWHERE.get(address[0], address[0]), address[1]))

    def _is_ours(self, address: HostAddress) -> bool:
        with self._lock:
            return address in self._listeners
