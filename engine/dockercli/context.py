"""Galley's docker context, written as the docker CLI writes it.

    $DOCKER_CONFIG or ~/.docker
        contexts/meta/<sha256 of the name>/meta.json   the context
        config.json                                    "currentContext" names the one in use

The instance in the default home is `galley`; every other GALLEY_HOME has a name of its own,
`galley-` and eight hex digits, so that two instances never share a context. A context is Galley's
if it has the home in its metadata, or points at its socket; any other is left alone. Those of
deleted homes are removed when a Galley starts.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.dockercli import config_json
from engine.messages.host import DOCKER_CLI_FOREIGN_CONTEXT, DOCKER_CLI_NO_ADDRESS
from vm.errors import HostError, Problem, from_problem
from vm.host.paths import Home, default_root, home_at

DEFAULT = "galley"
_OWNER = "GalleyHome"  # docker keeps fields of `Metadata` that it does not know


def context_name(home: Home) -> str:
    if home.root == default_root():
        return DEFAULT
    return "galley-" + hashlib.sha256(os.fsencode(home.root)).hexdigest()[:8]


def endpoint(home: Home) -> str:
    return f"unix://{home.docker_socket}"


def ensure(home: Home) -> Problem | None:
    """Make the context if there is none, and make it current at that moment if the user has none.

    Later starts do not make it current again, since `docker context use default` is the user's
    choice. Returns the problem that prevents it; raises HostError when docker's files cannot be
    used.
    """
    remove_orphans()
    meta = _meta(home)
    found = config_json.read_json(meta)
    if found and not _is_ours(home, found):
        return _foreign(home, found).to_problem()
    if _at(found, "Endpoints", "docker", "Host") == endpoint(home):
        return None  # as it should be, with what the user may have made of the rest
    content = json.dumps(_content(home), separators=(",", ":")).encode()
    with config_json.alone():
        config_json.replace(meta, content, 0o644)
    if not found:
        _use_if_none(home)
    return None


def remove(home: Home) -> None:
    """Delete our context, and let docker go back to its default if ours was current."""
    found = config_json.read_json(_meta(home))
    if found and _is_ours(home, found):
        _leave(home)
        shutil.rmtree(_meta(home).parent, ignore_errors=True)


def remove_orphans() -> None:
    """Delete the contexts of homes that are no longer there, each as Galley has made it. Raises
    HostError."""
    for home in _orphans():
        _leave(home)
        # A Galley makes its home before its context. Under the lock no other one does either.
        with config_json.alone():
            if home in _orphans():
                shutil.rmtree(_meta(home).parent, ignore_errors=True)


def _orphans() -> list[Home]:
    named = {home_at(path) for path in _owners() if os.path.isabs(path)}
    return [home for home in sorted(named, key=str) if _is_orphan(home)]


def _is_orphan(home: Home) -> bool:
    """By the name and the endpoint that it was made with: what a user has changed is the user's."""
    if os.path.lexists(home.root):
        return False
    with contextlib.suppress(HostError):
        found = config_json.read_json(_meta(home))
        points_at = _at(found, "Endpoints", "docker", "Host")
        return context_name(home) != DEFAULT and points_at == endpoint(home)
    return False


def _owners() -> Iterator[str]:
    """The homes that contexts carry in their metadata."""
    for meta in (config_json.folder() / "contexts" / "meta").glob("*/meta.json"):
        with contextlib.suppress(HostError):
            owner = _at(config_json.read_json(meta), "Metadata", _OWNER)
            if isinstance(owner, str):
                yield owner


def _leave(home: Home) -> None:
    """Let docker go back to its default if this home's context is current."""

    def edit(config: dict[str, Any]) -> None:
        if config.get("currentContext") == context_name(home):
            del config["currentContext"]

    config_json.change(edit)


def use(home: Home) -> None:
    """Make a plain `docker` use this engine. Raises HostError, also where there is no such
    context."""
    problem = ensure(home)
    if problem is not None:
        raise from_problem(problem)
    config_json.change(lambda config: config.update(currentContext=context_name(home)))


def is_current(home: Home) -> bool:
    """Whether a plain `docker` uses this context."""
    return config_json.read().get("currentContext") == context_name(home)


def others(home: Home) -> bool:
    """Whether another Galley of this user has a context."""
    return any(owner != str(home.root) for owner in _owners())


def _use_if_none(home: Home) -> None:
    chosen = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT")

    def edit(config: dict[str, Any]) -> None:
        if not chosen and not config.get("currentContext"):
            config["currentContext"] = context_name(home)

    config_json.change(edit)


def _content(home: Home) -> dict[str, Any]:
    return {
        "Name": context_name(home),
        "Metadata": {"Description": "Galley", _OWNER: str(home.root)},
        "Endpoints": {"docker": {"Host": endpoint(home), "SkipTLSVerify": False}},
    }


def _is_ours(home: Home, meta: dict[str, Any]) -> bool:
    points_at = _at(meta, "Endpoints", "docker", "Host")
    return _at(meta, "Metadata", _OWNER) == str(home.root) or points_at == endpoint(home)


def _at(value: object, *keys: str) -> object:
    """The value at the path `keys`, None without one: the file may contain anything."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _foreign(home: Home, meta: dict[str, Any]) -> HostError:
    name, points_at = context_name(home), _at(meta, "Endpoints", "docker", "Host")
    return HostError(
        DOCKER_CLI_FOREIGN_CONTEXT,
        name=name,
        address=points_at or DOCKER_CLI_NO_ADDRESS,
    )


def _meta(home: Home) -> Path:
    folder = hashlib.sha256(context_name(home).encode()).hexdigest()
    return config_json.folder() / "contexts" / "meta" / folder / "meta.json"
