"""Which port of the guest a published port is carried to.

One that is published on every address has the same number in the guest: dockerd leads from there to
the container, and gives it to one container only. Beside one on a single address (127.0.0.2, ::1)
there may be another on the next, of another container. The guest sees none of these addresses, so
each gets a guest port of its own, where `wanted.routes` leads on, and keeps it while it is carried.
May import: `wanted.py`, `engine.types`, `vm`. Next: `published.py`, who places them.
"""

from collections.abc import Iterable, Sequence

import msgspec

from engine.ports.wanted import TO_BE_PLACED, Slot, slot
from engine.types import PublishedPort
from vm.errors import PortInUse
from vm.types import Forward

OWN = range(65535, 61053, -1)  # what is published least; 61053 is the guest's own


def placed(wanted: Sequence[PublishedPort], carried: Iterable[Forward]) -> list[PublishedPort]:
    """Each with its port of the guest, or with a problem: another container has it on this host."""
    had = {slot(forward): forward.guest_port for forward in carried}
    used = {(port.forward.protocol, port.forward.guest_port) for port in wanted}
    owners: dict[Slot, str] = {}
    found = []
    for port in wanted:
        forward = port.forward
        owner = owners.setdefault(slot(forward), port.container)
        problem = None if owner == port.container else already_published(forward, owner)
        if problem is None and forward.guest_port == TO_BE_PLACED:
            place = _place(forward, had, used)
            used.add((forward.protocol, place))
            forward = msgspec.structs.replace(forward, guest_port=place)
        told = problem and problem.to_problem()
        found.append(msgspec.structs.replace(port, forward=forward, problem=told))
    return found


def _place(forward: Forward, had: dict[Slot, int], used: set[tuple[str, int]]) -> int:
    """The one that it had, where dockerd leads nobody from there; else one that nobody has."""
    before = had.get(slot(forward), TO_BE_PLACED)
    if before != TO_BE_PLACED and (forward.protocol, before) not in used:
        return before
    others = {(forward.protocol, place) for place in had.values()} | used
    return next(place for place in OWN if (forward.protocol, place) not in others)


def already_published(forward: Forward, container: str) -> PortInUse:
    return PortInUse(
        f"Port {forward.host_port}/{forward.protocol} on {forward.host_address} is already "
        f"published by the container {container}.",
        "Stop that container, or publish this one on another port.",
    )
