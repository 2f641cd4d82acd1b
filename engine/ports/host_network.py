"""Ports of containers with `--network host`, from the sockets that listen in the guest.

Docker publishes nothing for them, so the guest lists their listening sockets (`listeners.py`).
Each becomes a port of this computer's loopback with the same number. A socket on every address of
the guest is reached by a plain forward to its port. One on a single address, such as 127.0.0.1, is
reached through a guest port of its own (`guest_port_allocator.py`) and a rule that leads from
there. Next: `port_sync.py`.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence

import msgspec

from engine.messages.guest import PORT_IPV6_ONLY
from engine.ports.guest_port_allocator import already_published, overlap
from engine.ports.published_spec import (
    EVERY_IPV4,
    PROTOCOLS,
    UNALLOCATED,
    Container,
    ContainerPort,
    Default,
    Route,
)
from engine.types import PublishedPort
from vm.errors import BackendFailed
from vm.types import Forward

CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
PORT = re.compile(r"[0-9]{1,5}")
EVERYWHERE, LOOPBACK, ELSEWHERE, IPV6_ONLY = range(4)  # in the guest, the best reached first


class ListeningSocket(msgspec.Struct, frozen=True, order=True):
    """A socket in the guest that takes connections or datagrams. `container`: its id."""

    protocol: str
    port: int
    address: str
    container: str

    @property
    def rank(self) -> int:
        """Of several listeners with one port, the one with the lowest rank is forwarded."""
        address = ipaddress.ip_address(self.address)
        if address.version == 6:
            return IPV6_ONLY
        if self.address == EVERY_IPV4:
            return EVERYWHERE
        return LOOPBACK if address.is_loopback else ELSEWHERE


def read_listener(line: str) -> ListeningSocket | None:
    """From `tcp 0.0.0.0 8080 ID`, as the guest writes it; None for anything else."""
    protocol, _, rest = line.partition(" ")
    written, _, rest = rest.partition(" ")
    number, _, container = rest.partition(" ")
    if protocol not in PROTOCOLS or not PORT.fullmatch(number):
        return None
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return None
    is_a_group = address.is_multicast or written == "255.255.255.255"
    port = int(number)
    if is_a_group or "%" in written or not 0 < port < 65536:
        return None
    if not CONTAINER_ID.fullmatch(container):
        return None
    return ListeningSocket(protocol, port, str(address), container)


def is_wanted(containers: Iterable[Container]) -> bool:
    """Whether one of them is on the host network."""
    return any(container.is_on_host_network for container in containers)


def listening_ports(
    containers: Iterable[Container],
    listeners: Iterable[ListeningSocket],
    published: Sequence[PublishedPort],
    addresses: Default,
) -> list[PublishedPort]:
    """The ports to forward from `addresses` besides `published`, which take precedence. A port that
    cannot be forwarded has a problem."""
    names = {container.Id: container.name for container in containers}
    found = []
    for listener in _reachable(listeners):
        name = names.get(listener.container)
        if name is None:  # it has ended meanwhile
            continue
        guest_port = listener.port if listener.rank == EVERYWHERE else UNALLOCATED
        for address in addresses[-1:] if listener.rank == IPV6_ONLY else addresses:
            forward = Forward(address, listener.port, guest_port, listener.protocol)
            port = PublishedPort(name, listener.port, forward, host_network=True)
            found.append(_checked(port, listener, published))
    return found


def listening_routes(
    containers: Iterable[Container],
    listeners: Iterable[ListeningSocket],
    allocated: Iterable[PublishedPort],
) -> frozenset[Route]:
    """Rules that lead to those on a single address. `allocated`: the ports with their guest ports.

    The guest routes to its own loopback what comes from its network card, and from nowhere else
    (`route_localnet` of eth0 alone): only QEMU is there.
    """
    names = {container.Id: container.name for container in containers}
    targets = {
        (names.get(one.container), one.protocol, one.port): f"{one.address}:{one.port}"
        for one in _reachable(listeners)
        if one.rank in (LOOPBACK, ELSEWHERE)
    }
    found = set()
    for port in allocated:
        forward = port.forward
        target = targets.get((port.container, forward.protocol, port.container_port))
        if port.host_network and port.problem is None and target is not None:
            found.add(Route(forward.protocol, forward.guest_port, target))
    return frozenset(found)


def with_listeners(
    containers: Sequence[Container], listeners: Iterable[ListeningSocket]
) -> list[Container]:
    """`containers` as if those on the machine's own network published what they listen on."""
    ports: dict[str, list[ContainerPort]] = {}
    for one in _reachable(listeners):
        port = ContainerPort(one.port, one.protocol, one.port, one.address)
        ports.setdefault(one.container, []).append(port)
    return [
        msgspec.structs.replace(one, Ports=(*(one.Ports or ()), *ports.get(one.Id, ())))
        for one in containers
    ]


def _reachable(listeners: Iterable[ListeningSocket]) -> list[ListeningSocket]:
    """One for each port of a container, the best reached first."""
    best: dict[tuple[str, str, int], ListeningSocket] = {}
    for one in sorted(listeners, key=lambda one: (one.rank, one)):
        best.setdefault((one.container, one.protocol, one.port), one)
    return list(best.values())


def _checked(
    port: PublishedPort, listener: ListeningSocket, published: Iterable[PublishedPort]
) -> PublishedPort:
    for other in published:
        if overlap(other.forward, port.forward):
            error = already_published(port.forward, other)
            return msgspec.structs.replace(port, problem=error.to_problem())
    if listener.rank == IPV6_ONLY:
        return msgspec.structs.replace(port, problem=_only_ipv6(port).to_problem())
    return port


def _only_ipv6(port: PublishedPort) -> BackendFailed:
    return BackendFailed(
        PORT_IPV6_ONLY,
        port=port.container_port,
        protocol=port.forward.protocol,
        container=port.container,
    )
