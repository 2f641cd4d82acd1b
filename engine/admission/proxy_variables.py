"""The variables that a new container gets beside its own: which proxies it is to use.

What the client has said about a variable holds, in small letters or capital ones, also that it is
empty. Reads the environment of a container, or of a service's, and leaves every other field as it
is. Next: `engine/bridge/requests.py`, who calls it; `engine/provisioning/proxies.py`, whose they
are.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.json_input import UNREADABLE
from engine.shares.binds import Object, decode, key_of


def check(body: bytes, variables: Mapping[str, str]) -> bytes | None:
    """The body of a creation with `variables`; None when it stays as it is."""
    if not variables:
        return None
    try:
        document = msgspec.json.decode(body, type=Object)
        has_changed = _add(document, variables)
    except UNREADABLE:  # for dockerd to refuse
        return None
    return msgspec.json.encode(document) if has_changed else None


def _add(document: Object, variables: Mapping[str, str]) -> bool:
    for inner in ("TaskTemplate", "ContainerSpec"):
        key = key_of(document, inner)
        inside = decode(document, key, Object)
        if inside is not None:
            has_changed = _add(inside, variables)
            document[key] = msgspec.Raw(msgspec.json.encode(inside))
            return has_changed
    key = key_of(document, "Env")
    given: list[Any] = decode(document, key, list[Any] | None) or []
    said = {str(one).partition("=")[0].lower() for one in given}
    more = [f"{name}={value}" for name, value in variables.items() if name.lower() not in said]
    document[key] = msgspec.Raw(msgspec.json.encode([*given, *more]))
    return bool(more)
