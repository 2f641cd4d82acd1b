"""Which port of the guest a published port is carried to.

One that is published on every address has the same number in the guest: dockerd leads from there to
the container, and gives it to one container only. Beside one on a single address (127.0.0.2, ::1)
there may be another on the next, of another container. The guest sees none of these addresses, so
each gets a guest port of its own, where `wanted.routes` leads on, and keeps it while it is carried.
Next: `published.py`, who places them.
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from engine.ports.published_spec import EVERY_IPV4, EVERY_IPV6, PROTOCOLS, TO_BE_PLACED, Slot, slot
from engine.types import PublishedPort
from vm.errors import PortInUse
from vm.types import Forward

OWN = range(65535, 29999, -1)  # what is published least first; the guest itself chooses below
RESOLVER = 61053  # dnsmasq.conf in the guest

Place = tuple[str, int]
"""A protocol and a port of the guest."""


def placed(wanted: Sequence[PublishedPort], carried: Collection[Forward]) -> list[PublishedPort]:
    """Each with its port of the guest, or with a problem: another container has it on this host, or
    the guest has none left. One that has a problem already keeps it."""
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
        if problem is None and forward.guest_port == TO_BE_PLACED:
            place = _had(forward, had, used) or next(free[forward.protocol], TO_BE_PLACED)
            problem = _none_left(forward) if place == TO_BE_PLACED else None
            used.add((forward.protocol, place))
            forward = msgspec.structs.replace(forward, guest_port=place)
        told = problem and problem.to_problem()
        found.append(msgspec.structs.replace(port, forward=forward, problem=told))
    return found


def _had(forward: Forward, had: dict[Slot, int], used: set[Place]) -> int:
    """The one that it had, where dockerd leads nobody from there; else TO_BE_PLACED."""
    before = had.get(slot(forward), TO_BE_PLACED)
    return TO_BE_PLACED if (forward.protocol, before) in used else before


def _free(protocol: str, kept: set[Place], used: set[Place]) -> Iterator[int]:
    """Those that nobody has, once each; `used` may grow meanwhile."""
    for port in OWN:
        if port != RESOLVER and (protocol, port) not in kept and (protocol, port) not in used:
            yield port


def _none_left(forward: Forward) -> PortInUse:
    return PortInUse(
        f"The machine has no port left for port {forward.host_port}/{forward.protocol} on "
        f"{forward.host_address}.",
        "Publish fewer ports, or publish them without an address.",
    )


def overlap(one: Forward, other: Forward) -> bool:
    """Whether only one of them can be open on this host."""
    addresses = {one.host_address, other.host_address}
    is_ipv6 = {":" in address for address in addresses}
    same_address = len(addresses) == 1 or (
        len(is_ipv6) == 1 and bool(addresses & {EVERY_IPV4, EVERY_IPV6})
    )
    return same_address and slot(one)[1:] == slot(other)[1:]


def already_published(forward: Forward, holder: PublishedPort) -> PortInUse:
    if holder.service:
        return PortInUse(
            f"Port {forward.host_port}/{forward.protocol} on {forward.host_address} is already "
            f"published by the service {holder.container}.",
            "Remove that service, or choose another port.",
        )
    return PortInUse(
        f"Port {forward.host_port}/{forward.protocol} on {forward.host_address} is already "
        f"published by the container {holder.container}.",
        "Stop that container, or publish this one on another port.",
    )
