"""Information about the whole engine: version, disk use, events.

Next: `client.py`, which offers these.
"""

from collections.abc import Iterator

import msgspec

from engine.docker.cancel import Cancel
from engine.docker.transport import Wire
from engine.docker.types import INTERNAL, DiskUse, EngineInfo, Event
from engine.json_input import UNREADABLE
from engine.messages.docker import DOCKER_STOPPED_SENDING
from vm.errors import EngineUnreachable


def info(wire: Wire) -> EngineInfo:
    found = msgspec.json.decode(wire.get("/info"), type=_Info)
    return EngineInfo(
        name=found.Name,
        version=found.ServerVersion,
        api=wire.api.api_version,
        os=found.OperatingSystem,
        kernel=found.KernelVersion,
        architecture=found.Architecture,
        cpus=found.NCPU,
        memory=found.MemTotal,
        storage_driver=found.Driver,
        runtimes=tuple(sorted(found.Runtimes or {})),
        security=tuple(found.SecurityOptions or ()),
        root=found.DockerRootDir,
    )


def disk_use(wire: Wire) -> DiskUse:
    found = msgspec.json.decode(wire.get("/system/df"), type=_DiskUse)
    images, containers, volumes = found.Images or (), found.Containers or (), found.Volumes or ()
    cache = [record for record in found.BuildCache or () if not record.Shared]
    in_use = sum(max(image.Size - max(image.SharedSize, 0), 0) for image in images if image.used)
    return DiskUse(
        images=found.LayersSize,
        containers=sum(container.SizeRw for container in containers),
        volumes=sum(volume.size for volume in volumes),
        build_cache=sum(record.Size for record in cache),
        reclaimable_images=max(found.LayersSize - in_use, 0),
        reclaimable_containers=sum(one.SizeRw for one in containers if not one.is_up),
        reclaimable_volumes=sum(volume.size for volume in volumes if not volume.users),
        reclaimable_build_cache=sum(record.Size for record in cache if not record.InUse),
        volume_sizes=tuple((volume.Name, volume.size) for volume in volumes),
    )


def prune_build_cache(wire: Wire) -> int:
    """Remove cache that no build uses; how many bytes."""
    return msgspec.json.decode(wire.post("/build/prune"), type=_Pruned).SpaceReclaimed


def events(wire: Wire, since: float | None, cancel: Cancel) -> Iterator[Event]:
    """Events from now on, or `since`. Ends only by raising.

    Events of Galley's own containers are left out.
    """
    decode = msgspec.json.Decoder(_Message).decode
    moment = None if since is None else f"{since:.9f}"
    for line in wire.lines("/events", cancel, since=moment):
        try:
            message = decode(line)
        except UNREADABLE as error:  # cut off: the reader reconnects
            raise EngineUnreachable(DOCKER_STOPPED_SENDING, details=str(error)) from error
        attributes = message.Actor.Attributes or {}
        if INTERNAL not in attributes:
            yield Event(
                kind=message.Type,
                action=message.Action,
                id=message.Actor.ID,
                name=attributes.get("name", ""),
                time=message.timeNano / 1e9,
                attributes=tuple(attributes.items()),
            )


class _Pruned(msgspec.Struct):
    SpaceReclaimed: int = 0


class _Info(msgspec.Struct):
    Name: str = ""
    ServerVersion: str = ""
    OperatingSystem: str = ""
    KernelVersion: str = ""
    Architecture: str = ""
    NCPU: int = 0
    MemTotal: int = 0
    Driver: str = ""
    Runtimes: dict[str, msgspec.Raw] | None = None
    SecurityOptions: list[str] | None = None
    DockerRootDir: str = ""


class _ImageUse(msgspec.Struct):
    Size: int = 0
    SharedSize: int = 0
    Containers: int = 0

    @property
    def used(self) -> bool:
        return self.Containers != 0  # -1 where dockerd has not counted


class _ContainerUse(msgspec.Struct):
    SizeRw: int = 0
    State: str = ""

    @property
    def is_up(self) -> bool:
        return self.State in ("running", "paused", "restarting")


class _UsageData(msgspec.Struct):
    Size: int = -1
    RefCount: int = -1


class _VolumeUse(msgspec.Struct):
    Name: str = ""
    UsageData: _UsageData | None = None

    @property
    def size(self) -> int:
        return max(self.UsageData.Size, 0) if self.UsageData else 0

    @property
    def users(self) -> int:
        return self.UsageData.RefCount if self.UsageData else 0


class _CacheUse(msgspec.Struct):
    Size: int = 0
    InUse: bool = False
    Shared: bool = False


class _DiskUse(msgspec.Struct):
    LayersSize: int = 0
    Images: list[_ImageUse] | None = None
    Containers: list[_ContainerUse] | None = None
    Volumes: list[_VolumeUse] | None = None
    BuildCache: list[_CacheUse] | None = None


class _Actor(msgspec.Struct):
    ID: str = ""
    Attributes: dict[str, str] | None = None


class _Message(msgspec.Struct):
    Type: str = ""
    Action: str = ""
    Actor: _Actor = msgspec.field(default_factory=_Actor)
    timeNano: int = 0  # noqa: N815 - Docker's name
