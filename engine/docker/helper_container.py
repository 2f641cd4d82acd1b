"""A container that never runs, to reach the files of a volume.

Docker reads and writes files only in containers. This one has an empty image, which Galley makes,
with the volume mounted, and is removed afterwards. Its labels hide it from lists, and name its
owner, so that one left by a killed window can be found and removed. Next: `volumes.py`.
"""

import contextlib
import os
import platform
from collections.abc import Iterator

import msgspec

from engine.docker.cancel import Cancel
from engine.docker.sdk import docker
from engine.docker.streaming_request import filters, messages, streaming
from engine.docker.tar import EMPTY
from engine.docker.transport import Wire
from engine.docker.types import INTERNAL
from vm.errors import ObjectGone
from vm.host.process import Identity, identify, is_alive

REPOSITORY, TAG = "galley-internal", "scratch"
FOLDER = "/volume"


class _Made(msgspec.Struct):
    id: str = msgspec.field(name="Id")


class _Left(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)


class _Owner(msgspec.Struct, frozen=True):
    """The process that a container was made for."""

    computer: str
    process: Identity | None


@contextlib.contextmanager
def mounted(api: docker.APIClient, volume: str) -> Iterator[str]:
    """The id of a container that has the volume at FOLDER."""
    wire = Wire(api)
    remove_left_overs(wire)
    container = _create(api, wire, volume)
    try:
        yield container
    finally:
        _remove(wire, container)


def _create(api: docker.APIClient, wire: Wire, volume: str) -> str:
    try:
        return _create_once(wire, volume)
    except ObjectGone:
        _make_image(api)
        return _create_once(wire, volume)


def _create_once(wire: Wire, volume: str) -> str:
    mount = {
        "Type": "volume",
        "Source": volume,
        "Target": FOLDER,
        "VolumeOptions": {"NoCopy": True},
    }
    wanted = {
        "Image": f"{REPOSITORY}:{TAG}",
        "Cmd": ["never"],
        "Labels": {INTERNAL: _owner()},
        "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
    }
    made = wire.post("/containers/create", wanted)
    return msgspec.json.decode(made, type=_Made).id


def _make_image(api: docker.APIClient) -> None:
    query = {"fromSrc": "-", "repo": REPOSITORY, "tag": TAG, "changes": f"LABEL {INTERNAL}=image"}
    with streaming(api, Cancel(), "POST", "/images/create", query, EMPTY) as response:
        for _ in messages(response):
            pass


def remove_left_overs(wire: Wire) -> int:
    """Remove those of killed windows, for they keep their volumes in use; how many."""
    found = wire.get("/containers/json", all=1, filters=filters(label=[INTERNAL]))
    every = msgspec.json.decode(found, type=list[_Left])
    abandoned = [left for left in every if _is_abandoned((left.labels or {}).get(INTERNAL, ""))]
    for left in abandoned:
        _remove(wire, left.id)
    return len(abandoned)


def _remove(wire: Wire, container: str) -> None:
    with contextlib.suppress(ObjectGone):  # another window was quicker
        wire.delete(f"/containers/{container}", force=1)


def _owner() -> str:
    owner = _Owner(platform.node(), identify(os.getpid()))
    return msgspec.json.encode(owner).decode()


def _is_abandoned(label: str) -> bool:
    """Only where the owner was a process of this computer; of another's nothing is known."""
    try:
        owner = msgspec.json.decode(label, type=_Owner)
    except msgspec.DecodeError:
        return False
    if owner.process is None or owner.computer != platform.node():
        return False
    return not is_alive(owner.process)
