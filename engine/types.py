"""The frozen values of the engine that the supervisor sends to its clients.

`EngineStatus` is all that clients get of the engine; the control socket sends one on connect and a
new one for every change (`control/protocol.py`).
"""

import msgspec

from vm.errors import Problem
from vm.types import (
    Forward,
    GuestDisk,
    GuestMemory,
    MachineSnapshot,
    SnapshotWork,
    Status,
)


class EngineHealth(msgspec.Struct, frozen=True):
    """dockerd's state, from the headers of its answers at the host's endpoint."""

    reachable: bool
    version: str = ""
    api: str = ""


class PublishedPort(msgspec.Struct, frozen=True):
    """A container's port on this host. `problem`: why it is not open. `host_network`: the container
    listens on it with `--network host`."""

    container: str  # name without the slash; the service's, where that publishes it
    container_port: int
    forward: Forward
    problem: Problem | None = None
    service: bool = False  # of a swarm, which leads to its containers by itself
    host_network: bool = False

    def has_owner_of(self, other: "PublishedPort") -> bool:
        return (self.container, self.service) == (other.container, other.service)


class MachineUse(msgspec.Struct, frozen=True):
    """The resources of the running machine. `…_on_host`: bytes of this computer's memory and
    disk."""

    memory: GuestMemory
    memory_on_host: int
    disk: GuestDisk
    disk_on_host: int


class Reclaimed(msgspec.Struct, frozen=True):
    """Bytes of this computer that the data disk took before and after."""

    before: int
    after: int


class ImageStatus(msgspec.Struct, frozen=True):
    """The guest image that the machine uses, or has used last. Times are RFC 3339, UTC."""

    name: str  # of its directory
    channel: str
    engine: str  # dockerd's version in it
    date: str  # of its packages
    checked: str = ""  # when newer packages were looked for last
    updates: int = 0  # packages of which there were newer versions then
    cves: tuple[str, ...] = ()  # those that they fix, as far as known
    waiting: str = ""  # the date of a newer image here, which the next cold start uses


class EngineStatus(msgspec.Struct, frozen=True):
    """Everything that a client may know, as of one moment."""

    version: str  # Galley's
    endpoint: str  # unix:///…/docker.sock or npipe:////./pipe/…
    machine: Status
    engine: EngineHealth
    ports: tuple[PublishedPort, ...] = ()
    problems: tuple[Problem, ...] = ()  # current problems for the user, worst first
    snapshots: tuple[MachineSnapshot, ...] = ()  # of the machine, the oldest first
    snapshot_work: SnapshotWork | None = None  # one that is being made or restored now
    auto_suspended: bool = False  # stopped by the resource saver: its first use brings it back
    image: ImageStatus | None = None  # None: no machine yet, or a backend without images
    no_memory: Problem | None = None  # why a snapshot could not have what is in memory
