"""The variables that a new container gets beside its own: which proxies it is to use.

What the client has said about a variable holds, in small letters or capital ones, also that it is
empty. Reads the environment of a container, or of a service's, and leaves every other field as it
is. May import: msgspec. Next: `requests.py`, who calls it; `engine/proxy.py`, whose they are.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

type Object = dict[str, msgspec.Raw]


def check(body: bytes, variables: Mapping[str, str]) -> bytes | None:
    """The body of a creation with `variables`; None when it stays as it is."""
    if not variables:
        return None
    try:
        document = msgspec.json.decode(body, type=Object)
        has_changed = _add(document, variables)
    except msgspec.MsgspecError:  # for dockerd to refuse
        return None
    return msgspec.json.encode(document) if has_changed else None


def _add(document: Object, variables: Mapping[str, str]) -> bool:
    for inner in ("TaskTemplate", "ContainerSpec"):
        key = _key(document, inner)
        if key in document:
            inside = msgspec.json.decode(document[key], type=Object)
            has_changed = _add(inside, variables)
            document[key] = msgspec.Raw(msgspec.json.encode(inside))
            return has_changed
    key = _key(document, "Env")
    given: list[Any] = _decode(document, key) or []
    said = {str(one).partition("=")[0].lower() for one in given}
    more = [f"{name}={value}" for name, value in variables.items() if name.lower() not in said]
    document[key] = msgspec.Raw(msgspec.json.encode([*given, *more]))
    return bool(more)


def _decode(document: Object, key: str) -> list[Any] | None:
    found: list[Any] | None = None
    if key in document:
        found = msgspec.json.decode(document[key], type=list[Any] | None)
    return found


def _key(document: Object, name: str) -> str:
    """As it is written there: dockerd does not mind small and capital letters."""
    return next((key for key in document if key.lower() == name.lower()), name)
