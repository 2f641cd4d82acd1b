"""Builders of their own trust what this computer trusts, as dockerd does.

`docker buildx create` runs BuildKit in a container, which pulls by itself and knows only the
authorities of its image. So it gets the machine's, which are those and this computer's. Images that
somebody has made of it keep what they have: it may be authorities that nobody else knows.
BuildKit's is moby/buildkit of docker.io with any tag, and of another registry with none or one of
upstream's (latest, master, buildx-stable-1, v0.31.0, and their -rootless). A builder that is given
anything at that place, above or below it brings its own, and gets nothing. Next:
`admission.py`; `engine/provisioning/certificates.py`, whose they are.
"""

import posixpath
import re
from pathlib import PurePosixPath

import msgspec

from engine.admission.create_request import HostConfig

CERTIFICATES = "/etc/ssl/certs"  # in the machine, and where BuildKit looks

_TAG = r"(?:latest|master|buildx-stable-\d+|v\d[\d.]*(?:-(?:rc|beta)\d*)?)(?:-rootless)?|rootless"
_BUILDER = re.compile(
    r"(?:(?:index\.)?docker\.io/)?moby/buildkit(?:[:@].*)?"
    rf"|.+/moby/buildkit(?::(?:{_TAG})(?:@.*)?)?"
)


def added(image: str, host: HostConfig) -> HostConfig:
    """With the certificates, if `image` is a builder's and `host` has nothing at their place."""
    if not _BUILDER.fullmatch(image):
        return host
    targets = [
        *(bind.split(":")[:2][-1] for bind in host.binds),  # a volume without a name is its target
        *(mount.target for mount in host.mounts),
        *host.tmpfs,
    ]
    if any(map(_is_about_them, targets)):
        return host
    bind = f"{CERTIFICATES}:{CERTIFICATES}:ro"
    return msgspec.structs.replace(host, binds=(*host.binds, bind))


def _is_about_them(target: str) -> bool:
    """Whether it covers them, or is one of them, which could not be made in ours (read-only)."""
    path, ours = PurePosixPath(posixpath.normpath(f"///{target}")), PurePosixPath(CERTIFICATES)
    return path.is_relative_to(ours) or ours.is_relative_to(path)
