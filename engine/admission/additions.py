"""What Galley adds to a request that leaves it out: proxies, certificates, address pools.

A new container or service gets the variables of the proxies in use. A variable that the client
sets, in small or capital letters, keeps its value, also an empty one.

BuildKit gets the machine's certificates, so that it trusts what this computer trusts:
`docker buildx create` runs it in a container, which pulls images itself and trusts only the
authorities of its own image. A custom image that is derived from BuildKit's keeps its own
certificates, which may include private authorities. BuildKit's image is moby/buildkit of docker.io
with any tag, or of another registry without a tag or with one of upstream's (latest, master,
buildx-stable-1, v0.31.0, and their -rootless). A builder with anything mounted at that place, above
or below it, gets nothing.

A new swarm gets a pool of addresses without those of the machine's own network. dockerd cuts the
overlay networks out of 10.0.0.0/8, one /24 after another, and does not check which are in use.
After "ingress" and a first network comes 10.0.2.0/24, where the machine has its address, its
gateway and its resolver: containers on it reach none of them. A pool that the client names is kept.
Next: `admission.py`; `engine/provisioning/proxies.py` and `certificates.py`, where the values are
from.
"""

import posixpath
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from engine.admission.create_request import HostConfig, InitSwarm

CERTIFICATES = "/etc/ssl/certs"  # in the machine, and where BuildKit looks
POOL = ("10.64.0.0/10",)

_TAG = r"(?:latest|master|buildx-stable-\d+|v\d[\d.]*(?:-(?:rc|beta)\d*)?)(?:-rootless)?|rootless"
_BUILDER = re.compile(
    r"(?:(?:index\.)?docker\.io/)?moby/buildkit(?:[:@].*)?"
    rf"|.+/moby/buildkit(?::(?:{_TAG})(?:@.*)?)?"
)


def with_variables(env: tuple[str, ...], variables: Mapping[str, str]) -> tuple[str, ...]:
    """`env` (NAME=VALUE), and those of `variables` that it does not set."""
    names = {one.partition("=")[0].lower() for one in env}
    more = (f"{name}={value}" for name, value in variables.items() if name.lower() not in names)
    return (*env, *more)


def with_certificates(image: str, host: HostConfig) -> HostConfig:
    """`host` with the certificates mounted, if `image` is BuildKit's and nothing else is mounted
    there."""
    if not _BUILDER.fullmatch(image):
        return host
    targets = [
        *(bind.split(":")[:2][-1] for bind in host.binds),  # a volume without a name is its target
        *(mount.target for mount in host.mounts),
        *host.tmpfs,
    ]
    if any(map(_overlaps_certificates, targets)):
        return host
    bind = f"{CERTIFICATES}:{CERTIFICATES}:ro"
    return msgspec.structs.replace(host, binds=(*host.binds, bind))


def with_pool(request: InitSwarm) -> InitSwarm:
    if request.default_addr_pool:
        return request
    return msgspec.structs.replace(request, default_addr_pool=POOL)


def _overlaps_certificates(target: str) -> bool:
    """Whether a mount at `target` would cover the certificates, or lie in their read-only
    folder."""
    path, ours = PurePosixPath(posixpath.normpath(f"///{target}")), PurePosixPath(CERTIFICATES)
    return path.is_relative_to(ours) or ours.is_relative_to(path)
