"""What Galley adds to a request that says nothing about it: proxies, certificates, address pools.

A new container or service gets the variables of the proxies in use. What the client has said about
a variable holds, in small letters or capital ones, also that it is empty.

BuildKit gets the machine's certificates, as it trusts what this computer trusts only then:
`docker buildx create` runs it in a container, which pulls by itself and knows only the authorities
of its image. An image that somebody has made of it keeps its own, which may be authorities that no
other has. BuildKit's is moby/buildkit of docker.io with any tag, and of another registry with none
or one of upstream's (latest, master, buildx-stable-1, v0.31.0, and their -rootless). A builder with
anything mounted at that place, above or below it, gets nothing.

A new swarm gets a pool of addresses without those of the machine's own network. dockerd cuts the
overlay networks out of 10.0.0.0/8, one /24 after another, and does not look which are in use. After
"ingress" and a first network comes 10.0.2.0/24, where the machine has its address, its gateway and
its resolver: containers on it reach none of them. A pool that the client names is kept. Next:
`admission.py`; `engine/provisioning/proxies.py` and `certificates.py`, where the values are from.
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
    """An environment of NAME=VALUE with those of `variables` that it does not mention."""
    said = {one.partition("=")[0].lower() for one in env}
    more = (f"{name}={value}" for name, value in variables.items() if name.lower() not in said)
    return (*env, *more)


def with_certificates(image: str, host: HostConfig) -> HostConfig:
    """With the certificates, if `image` is a builder's and `host` has nothing at their place."""
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
    """Whether it covers them, or is one of them, which could not be made in ours (read-only)."""
    path, ours = PurePosixPath(posixpath.normpath(f"///{target}")), PurePosixPath(CERTIFICATES)
    return path.is_relative_to(ours) or ours.is_relative_to(path)
