"""Who carries the ports of the running machine: its backend, and Galley itself for IPv6.

QEMU's network forwards IPv4 only. A port on an IPv6 address is a listener of our own that leads to
the same port on IPv4 where that is open, else to one that is opened for it.
May import: `vm`. Next: `published.py`, `knocks.py`, `vm/host/forwarder.py`.
"""

from collections.abc import Callable

from vm.backend import Backend
from vm.directory import MachineDir
from vm.host import net
from vm.host.forwarder import Forwarder
from vm.types import Forward

LOOPBACK, EVERY_IPV4 = "127.0.0.1", "0.0.0.0"


class MachineCarrier:
    """The backend, bound to its machine. `clear`: who of us has the port until now leaves it. Not
    thread-safe: `PublishedPorts` takes turns."""

    def __init__(
        self,
        backend: Backend,
        directory: MachineDir,
        clear: Callable[[Forward], None] = lambda forward: None,
    ) -> None:
        self._backend = backend
        self._directory = directory
        self._clear = clear
        self._forwarder = Forwarder()
        self._lead: dict[Forward, Forward] = {}  # ours → the backend's that it leads to
        self._there: set[Forward] = set()  # the backend's, as last seen

    def forward(self, forward: Forward) -> None:
        """Raises PortInUse, BackendFailed."""
        self._clear(forward)
        if ":" not in forward.host_address:
            self._backend.forward(self._directory, forward)
            self._there.add(forward)
            return
        inner = self._twin(forward) or self._inner(forward)
        here = (forward.host_address, forward.host_port)
        try:
            self._forwarder.open(forward.protocol, here, (LOOPBACK, inner.host_port))
        except OSError as error:
            if inner.host_port != forward.host_port:
                self._backend.unforward(self._directory, inner)
            raise net.bind_failed(*here, forward.protocol, error.errno, str(error)) from error
        self._lead[forward] = inner

    def unforward(self, forward: Forward) -> None:
        inner = self._lead.pop(forward, None)
        if inner is None:
            self._there.discard(forward)
            self._backend.unforward(self._directory, forward)
            return
        self._forwarder.close(forward.protocol, (forward.host_address, forward.host_port))
        if inner.host_port != forward.host_port:
            self._backend.unforward(self._directory, inner)

    def forwarded(self) -> frozenset[Forward]:
        self._there = set(self._backend.forwarded(self._directory))
        return frozenset(self._there - set(self._hidden()) | self._lead.keys())

    def forget(self) -> None:
        self._lead.clear()
        self._there.clear()
        self._forwarder.close_all()

    def _hidden(self) -> list[Forward]:
        """Those that nobody but us asked for."""
        return [inner for ours, inner in self._lead.items() if inner.host_port != ours.host_port]

    def _twin(self, forward: Forward) -> Forward | None:
        found = (
            Forward(address, forward.host_port, forward.guest_port, forward.protocol)
            for address in (LOOPBACK, EVERY_IPV4)
        )
        return next((each for each in found if each in self._there), None)

    def _inner(self, forward: Forward) -> Forward:
        inner = Forward(LOOPBACK, net.free_port(), forward.guest_port, forward.protocol)
        self._backend.forward(self._directory, inner)
        return inner
