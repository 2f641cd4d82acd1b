"""Allocates guest ports: which port of the guest a published port is forwarded to.

A port that is published on every address has the same number in the guest: dockerd routes it from
there to the container, and gives it to one container only. Ports on a single address (127.0.0.2,
::1) may have the same number for different containers. The guest sees none of these addresses, so
each gets a guest port of its own, from which `published_spec.routes` leads to the container, and
keeps it while it is forwarded. Next: `published.py`, which calls `allocate`.
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from engine.messages.guest import (
    PORT_NONE_LEFT,
    PORT_PUBLISHED_BY_CONTAINER,
    PORT_PUBLISHED_BY_SERVICE,
)
from engine.ports.published_spec import EVERY_IPV4, EVERY_IPV6, PROTOCOLS, UNALLOCATED, Slot, slot
from engine.types import PublishedPort
from vm.errors import PortInUse
from vm.types import Forward

ALLOCATABLE = range(65535, 29999, -1)  # rarely published ports first; ephemeral ones are below
RESOLVER = 61053  # dnsmasq.conf in the guest

GuestPort = tuple[str, int]
"""Its protocol and its number."""


def allocate(wanted: Sequence[PublishedPort], carried: Collection[Forward]) -> list[PublishedPort]:
    """`wanted` with guest ports. A port gets a problem where another container has it on this host
    or the guest has no port left; a port that has a problem already is returned as it is.
    `carried`: the forwards that are open now, which keep their guest ports."""
    had = {slot(forward): forward.guest_port for forward in carried}
    used = {(port.forward.protocol, port.forward.guest_port) for port in wanted}
    kept = {(forward.protocol, forward.guest_port) for forward in carried}
    free = {protocol: _free(protocol, kept, used) for protocol in PROTOCOLS}
    owners: dict[Slot, PublishedPort] = {}
    found = []
    for port in wanted:
        if port.problem is not None:
            found.append(port)
            continue
        forward = port.forward
        owner = owners.setdefault(slot(forward), port)
        problem = None if owner.has_owner_of(port) else already_published(forward, owner)
        if problem is None and forward.guest_port == UNALLOCATED:
            number = _had(forward, had, used) or next(free[forward.protocol], UNALLOCATED)
            problem = _none_left(forward) if number == UNALLOCATED else None
            used.add((forward.protocol, number))
            forward = msgspec.structs.replace(forward, guest_port=number)
        shown = problem and problem.to_problem()
        found.append(msgspec.structs.replace(port, forward=forward, problem=shown))
    return found


def _had(forward: Forward, had: dict[Slot, int], used: set[GuestPort]) -> int:
    """The guest port that it had, unless dockerd uses that one now; else UNALLOCATED."""
    before = had.get(slot(forward), UNALLOCATED)
    return UNALLOCATED if (forward.protocol, before) in used else before


def _free(protocol: str, kept: set[GuestPort], used: set[GuestPort]) -> Iterator[int]:
    """Free guest ports, each once; `used` may grow meanwhile."""
    for port in ALLOCATABLE:
        if port != RESOLVER and (protocol, port) not in kept and (protocol, port) not in used:
            yield port


def _none_left(forward: Forward) -> PortInUse:
    return PortInUse(
        PORT_NONE_LEFT,
        port=forward.host_port,
        protocol=forward.protocol,
        address=forward.host_address,
    )


def overlap(one: Forward, other: Forward) -> bool:
    """Whether only one of the two can be open on this host."""
    addresses = {one.host_address, other.host_address}
    is_ipv6 = {":" in address for address in addresses}
    same_address = len(addresses) == 1 or (
        len(is_ipv6) == 1 and bool(addresses & {EVERY_IPV4, EVERY_IPV6})
    )
    return same_address and slot(one)[1:] == slot(other)[1:]


def already_published(forward: Forward, holder: PublishedPort) -> PortInUse:
    if holder.service:
        return PortInUse(
            PORT_PUBLISHED_BY_SERVICE,
            port=forward.host_port,
            protocol=forward.protocol,
            address=forward.host_address,
            service=holder.container,
        )
    return PortInUse(
        PORT_PUBLISHED_BY_CONTAINER,
        port=forward.host_port,
        protocol=forward.protocol,
        address=forward.host_address,
        container=holder.container,
    )
