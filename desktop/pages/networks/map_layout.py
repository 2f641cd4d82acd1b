"""Where everything on the map of networks is.

Each network is a lane: its name on the left, and from it a wire along which its containers hang, in
as many rows as they need. A container on several networks has the same column in each lane, as far
as there are columns, so that a line beside the column joins its places. A long lane shows three
rows and the number of containers in the others. Next: `map.py`, which draws it.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from PySide6.QtCore import QRect

from engine.docker.types import Attachment, Network

NAME_WIDTH = 196
CHIP_WIDTH, CHIP_HEIGHT = 172, 44  # the width at least
GAP = 16
STEM = 14  # from the wire down to a container
PADDING = 16
LANE_GAP = 12
EMPTY_HEIGHT = 48
ROWS = 3  # of a lane that is not unfolded


class Part(StrEnum):
    NETWORK = "network"
    CONTAINER = "container"
    MORE = "more"  # unfolds a lane, and folds it


@dataclass(frozen=True)
class Spot:
    """Something that can be pointed at. `count`: how many more there are."""

    part: Part
    where: QRect
    network: Network
    attachment: Attachment | None = None
    count: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """The same thing in another layout."""
        container = self.attachment.container_id if self.attachment else ""
        return self.part, self.network.id, container


@dataclass
class Lane:
    where: QRect
    network: Network
    spots: list[Spot] = field(default_factory=list)  # the network itself first


@dataclass(frozen=True)
class Layout:
    lanes: tuple[Lane, ...]
    height: int
    joined: frozenset[str]  # ids of containers on several networks

    @property
    def spots(self) -> list[Spot]:
        return [spot for lane in self.lanes for spot in lane.spots]


def lay_out(networks: Sequence[Network], width: int, unfolded: Collection[str] = ()) -> Layout:
    """Lanes from top to bottom, unused networks last."""
    seen = Counter(each.container_id for network in networks for each in network.attached)
    joined = [key for key, count in seen.items() if count > 1]
    grid = _Grid.of(width)
    places = {key: place for place, key in enumerate(joined) if place < grid.columns}
    lanes, top = [], 0
    for network in sorted(networks, key=lambda network: not network.attached):
        lane = _lane(network, top, grid, places, network.id in unfolded)
        lanes.append(lane)
        top += lane.where.height() + LANE_GAP
    return Layout(tuple(lanes), max(0, top - LANE_GAP), frozenset(joined))


@dataclass(frozen=True)
class _Grid:
    """As many columns as there is room for, and as wide as they can be."""

    width: int
    columns: int
    chip: int

    @classmethod
    def of(cls, width: int) -> "_Grid":
        room = max(width - NAME_WIDTH - PADDING, CHIP_WIDTH + GAP)
        columns = room // (CHIP_WIDTH + GAP)
        return cls(width, columns, room // columns - GAP)

    def place(self, top: int, number: int) -> QRect:
        row, column = divmod(number, self.columns)
        left = NAME_WIDTH + column * (self.chip + GAP)
        down = top + PADDING + row * (CHIP_HEIGHT + STEM + GAP) + STEM
        return QRect(left, down, self.chip, CHIP_HEIGHT)


def _lane(network: Network, top: int, grid: _Grid, places: dict[str, int], unfolded: bool) -> Lane:
    slots = _slots(network.attached, places)
    columns = grid.columns
    most = columns * ROWS
    hidden = 0
    if len(network.attached) > most:
        if unfolded:
            slots = [*slots, None]
        else:
            hidden = len(network.attached) - sum(slot is not None for slot in slots[: most - 1])
            slots = [*slots[: most - 1], None]
    rows = (len(slots) + columns - 1) // columns
    height = 2 * PADDING + rows * (CHIP_HEIGHT + STEM) + (rows - 1) * GAP if rows else EMPTY_HEIGHT
    where = QRect(0, top, grid.width, height)
    name = QRect(PADDING - 8, top + 8, NAME_WIDTH - PADDING - 12, min(height - 16, 74))
    lane = Lane(where, network, [Spot(Part.NETWORK, name, network)])
    last = len(slots) - 1
    for number, attachment in enumerate(slots):
        place = grid.place(top, number)
        if attachment is not None:
            lane.spots.append(Spot(Part.CONTAINER, place, network, attachment))
        elif number == last and len(network.attached) > most:
            lane.spots.append(Spot(Part.MORE, place, network, count=hidden))
    return lane


def _slots(attached: Sequence[Attachment], places: dict[str, int]) -> list[Attachment | None]:
    """The columns of containers: those on several networks have their own, in the first row."""
    first: dict[int, Attachment] = {
        places[each.container_id]: each for each in attached if each.container_id in places
    }
    rest = sorted(
        (each for each in attached if each.container_id not in places),
        key=_natural,
    )
    slots: list[Attachment | None] = []
    while rest or any(place >= len(slots) for place in first):
        place = len(slots)
        slots.append(first.get(place) or (rest.pop(0) if rest else None))
    return slots


def _natural(each: Attachment) -> list[tuple[int, str]]:
    """web-2 before web-10."""
    parts = re.split(r"(\d+)", each.container)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]
