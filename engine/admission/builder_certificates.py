"""Builders of their own trust what this computer trusts, as dockerd does.

`docker buildx create` runs BuildKit in a container, which pulls by itself and knows only the
authorities of its image. So it gets the machine's, which are those and this computer's. Images that
somebody has made of it keep what they have: it may be authorities that nobody else knows.
BuildKit's is moby/buildkit of docker.io with any tag, and of another registry with none or one of
upstream's (latest, master, buildx-stable-1, v0.31.0, and their -rootless). A builder that is given
anything at that place, above or below it brings its own, and gets nothing. Next:
`engine/bridge/requests.py`, who calls it; `engine/provisioning/certificates.py`, whose they are.
"""

import posixpath
import re
from pathlib import PurePosixPath

import msgspec

from engine.json_input import UNREADABLE
from engine.shares.binds import Object, decode, key_of

CERTIFICATES = "/etc/ssl/certs"  # in the machine, and where BuildKit looks

_TAG = r"(?:latest|master|buildx-stable-\d+|v\d[\d.]*(?:-(?:rc|beta)\d*)?)(?:-rootless)?|rootless"
_BUILDER = re.compile(
    r"(?:(?:index\.)?docker\.io/)?moby/buildkit(?:[:@].*)?"
    rf"|.+/moby/buildkit(?::(?:{_TAG})(?:@.*)?)?"
)


class _Mount(msgspec.Struct):
    Target: str | None = ""


def check(body: bytes) -> bytes | None:
    """The body of a creation as dockerd is to see it; None for as it is."""
    try:
        document = msgspec.json.decode(body, type=Object)
        image = decode(document, key_of(document, "Image"), str | None)
        if not image or not _BUILDER.fullmatch(image):
            return None
        return msgspec.json.encode(document) if _add(document) else None
    except UNREADABLE:  # for dockerd to refuse
        return None


def _add(document: Object) -> bool:
    at = key_of(document, "HostConfig")
    config: Object = decode(document, at, Object | None) or {}
    key = key_of(config, "Binds")
    binds: list[str] = decode(config, key, list[str] | None) or []
    mounts = decode(config, key_of(config, "Mounts"), list[_Mount] | None) or []
    in_memory = decode(config, key_of(config, "Tmpfs"), dict[str, str] | None) or {}
    targets = [
        *(bind.split(":")[:2][-1] for bind in binds),  # a volume without a name is its target alone
        *(mount.Target or "" for mount in mounts),
        *in_memory,
    ]
    if any(map(_is_about_them, targets)):
        return False
    config[key] = msgspec.Raw(msgspec.json.encode([*binds, f"{CERTIFICATES}:{CERTIFICATES}:ro"]))
    document[at] = msgspec.Raw(msgspec.json.encode(config))
    return True


def _is_about_them(target: str) -> bool:
    """Whether it covers them, or is one of them, which could not be made in ours (read-only)."""
    path, ours = PurePosixPath(posixpath.normpath(f"///{target}")), PurePosixPath(CERTIFICATES)
    return path.is_relative_to(ours) or ours.is_relative_to(path)
