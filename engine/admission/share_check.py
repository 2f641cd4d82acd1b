"""A creation binds only what is shared with the machine.

A bind that names a folder of this host is resolved to its path in the guest; one that is not shared
is refused. Next: `engine/shares/binds.py`, which decides.
"""

import posixpath
import shlex

import msgspec

from engine.admission.create_request import HostConfig, Mount
from engine.shares.binds import Sharing, resolve
from vm.errors import NotShared


def checked(host: HostConfig, sharing: Sharing) -> HostConfig:
    """With paths as the guest has them. Raises NotShared."""
    binds = tuple(_bind(bind, sharing) for bind in host.binds)
    return msgspec.structs.replace(host, binds=binds, mounts=checked_mounts(host.mounts, sharing))


def checked_mounts(mounts: tuple[Mount, ...], sharing: Sharing) -> tuple[Mount, ...]:
    """The same for the mounts of a container or service."""
    return tuple(_mount(mount, sharing) for mount in mounts)


def _bind(bind: str, sharing: Sharing) -> str:
    """SOURCE:TARGET[:MODE]. A source that is no path is the name of a volume. Raises NotShared,
    also for one that such a line cannot name."""
    source, colon, rest = bind.partition(":")
    if not colon or not source.startswith("/"):
        return bind
    there = resolve(source, sharing, make=True)
    if there == posixpath.normpath(source):
        return bind
    if ":" in there:
        target, _, mode = rest.partition(":")
        only = ",readonly" if "ro" in mode.split(",") else ""
        mount = shlex.quote(f"type=bind,source={source},target={target}{only}")
        raise NotShared(
            f"The folder {source} leads to {there}, and -v cannot name a folder with a colon.",
            f"Give it in the longer way: docker run --mount {mount}",
        )
    return f"{there}:{rest}"


def _mount(mount: Mount, sharing: Sharing) -> Mount:
    if not mount.is_bind or not mount.source.startswith("/"):
        return mount
    there = resolve(mount.source, sharing, make=mount.makes_source)
    if there == posixpath.normpath(mount.source):
        return mount
    return msgspec.structs.replace(mount, source=there)
