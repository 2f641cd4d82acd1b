"""Forwards the ports of the running machine: IPv4 by its backend, IPv6 by a process of Galley's.

QEMU's network forwards IPv4 only: libslirp can do more, but QEMU's monitor has no command for it.
So a port on an IPv6 address is a listener of our own. It leads to the same port on IPv4 where that
is open, else to one that is opened for it. Both outlive the supervisor; the next one lists them.
Next: `published.py`, `wake_on_traffic.py`, `vm/host/forwarder_process.py`.
"""

import logging
from collections.abc import Callable

from engine.messages.guest import PORT_IMPOSSIBLE
from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import BackendFailed, GalleyError
from vm.host import net, process
from vm.host.forwarder_client import ForwarderClient
from vm.host.forwarder_process import Carried
from vm.types import Forward

log = logging.getLogger(__name__)

LOOPBACK, EVERY_IPV4 = "127.0.0.1", "0.0.0.0"


class HostForwarder:
    """Opens and closes ports of one machine. `release`: closes a listener that Galley itself has on
    the port. Not thread-safe: `PublishedPorts` holds its lock during each call."""

    def __init__(
        self,
        backend: Backend,
        directory: MachineDir,
        release: Callable[[Forward], None] = lambda forward: None,
    ) -> None:
        self._backend = backend
        self._ports = backend.forwards_ports
        self._directory = directory
        self._release = release
        self._forwarder = ForwarderClient(directory.run, directory.backend_log, self._machine)
        self._lead: dict[Forward, Forward] = {}  # ours → the backend's that it leads to
        self._there: set[Forward] = set()  # the backend's, as last seen

    def forward(self, forward: Forward) -> None:
        """Raises PortInUse, BackendFailed, HostError."""
        self._release(forward)
        if ":" not in forward.host_address:
            self._forward(forward)
            self._there.add(forward)
            return
        inner = self._twin(forward) or self._inner(forward)
        here = (forward.host_address, forward.host_port)
        try:
            self._forwarder.open(forward.protocol, here, (LOOPBACK, inner.host_port))
        except OSError as error:
            if inner.host_port != forward.host_port:
                self._unforward(inner)
            raise net.bind_failed(*here, forward.protocol, error.errno, str(error)) from error
        self._lead[forward] = inner

    def unforward(self, forward: Forward) -> None:
        inner = self._lead.pop(forward, None)
        if inner is None:
            self._there.discard(forward)
            self._unforward(forward)
            return
        self._forwarder.close(_carried(forward, inner))
        if inner.host_port != forward.host_port:
            self._unforward(inner)

    def forwarded(self) -> frozenset[Forward]:
        carried = self._ports.forwarded(self._directory) if self._ports is not None else ()
        self._there = set(carried)
        self._lead = self._leads()
        return frozenset(self._there - set(self._hidden()) | self._lead.keys())

    def forget(self) -> None:
        self._lead.clear()
        self._there.clear()
        try:
            self._forwarder.end()
        except GalleyError as error:  # it ends with the machine's process
            log.warning("%s", error.summary)

    def _leads(self) -> dict[Forward, Forward]:
        """What our own process forwards. Closes listeners whose IPv4 port is no longer open."""
        ends = {(each.protocol, each.host_port): each for each in self._there if _is_near(each)}
        found = {}
        for carried in self._forwarder.carried():
            inner = ends.get((carried.protocol, carried.there[1]))
            if inner is None:
                self._forwarder.close(carried)
            else:
                ours = Forward(*carried.here, inner.guest_port, carried.protocol)
                found[ours] = inner
        return found

    def _machine(self) -> process.Identity | None:
        """The machine's process. The forwarder's process ends when it does."""
        pid = self._backend.observe(self._directory).pid
        return None if pid is None else process.identify(pid)

    def _hidden(self) -> list[Forward]:
        """The IPv4 forwards that are open only because an IPv6 port leads to them."""
        return [inner for ours, inner in self._lead.items() if inner.host_port != ours.host_port]

    def _twin(self, forward: Forward) -> Forward | None:
        found = (
            Forward(address, forward.host_port, forward.guest_port, forward.protocol)
            for address in (LOOPBACK, EVERY_IPV4)
        )
        return next((each for each in found if each in self._there), None)

    def _inner(self, forward: Forward) -> Forward:
        inner = Forward(LOOPBACK, net.free_port(), forward.guest_port, forward.protocol)
        self._forward(inner)
        return inner

    def _forward(self, forward: Forward) -> None:
        """On IPv4. Raises PortInUse, BackendFailed."""
        if self._ports is None:
            raise BackendFailed(PORT_IMPOSSIBLE)
        self._ports.forward(self._directory, forward)

    def _unforward(self, forward: Forward) -> None:
        if self._ports is not None:
            self._ports.unforward(self._directory, forward)


def _carried(forward: Forward, inner: Forward) -> Carried:
    here = (forward.host_address, forward.host_port)
    return Carried(forward.protocol, here, (LOOPBACK, inner.host_port))


def _is_near(forward: Forward) -> bool:
    """Whether LOOPBACK reaches it."""
    return forward.host_address in (LOOPBACK, EVERY_IPV4)
