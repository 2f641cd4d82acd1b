"""Builders of their own trust what this computer trusts, as dockerd does.

`docker buildx create` runs BuildKit in a container, which pulls by itself and knows only the
authorities of its image. So it gets the machine's, which are those and this computer's. Images that
somebody has made of it keep what they have: it may be authorities that nobody else knows.
May import: msgspec, `binds.py`, which reads creations the same way. Next: `requests.py`, who calls
it; `engine/certificates.py`, whose they are.
"""

import re

import msgspec

from engine.bridge.binds import Object, decode, key_of

CERTIFICATES = "/etc/ssl/certs"  # in the machine, and where BuildKit looks

_BUILDER = re.compile(r"(?:.*/)?moby/buildkit(?:[:@].*)?|.*:buildx-stable.*")


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
    except msgspec.MsgspecError:  # for dockerd to refuse
        return None


def _add(document: Object) -> bool:
    at = key_of(document, "HostConfig")
    config: Object = decode(document, at, Object | None) or {}
    key = key_of(config, "Binds")
    binds: list[str] = decode(config, key, list[str] | None) or []
    mounts = decode(config, key_of(config, "Mounts"), list[_Mount] | None) or []
    targets = [*(bind.split(":")[1:2] for bind in binds), *([mount.Target] for mount in mounts)]
    if [CERTIFICATES] in targets:
        return False
    config[key] = msgspec.Raw(msgspec.json.encode([*binds, f"{CERTIFICATES}:{CERTIFICATES}:ro"]))
    document[at] = msgspec.Raw(msgspec.json.encode(config))
    return True
