"""The docker context that points at us, written as the docker CLI writes it. May import: `vm`.

    $DOCKER_CONFIG or ~/.docker
        contexts/meta/<sha256 of the name>/meta.json   the context
        config.json                                    "currentContext" names the one in use

The instance in the default home is called `galley`; every other GALLEY_HOME gets a name of its own,
`galley-` and eight hex digits, so that two instances never fight for one context. Ours is the one
that carries our home in its metadata, or already points at our socket; any other is left alone.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from vm.errors import HostError, Problem, from_problem
from vm.host.paths import Home, default_root, write_atomic

_OWNER = "GalleyHome"  # docker keeps fields of `Metadata` that it does not know


def context_name(home: Home) -> str:
    if home.root == default_root():
        return "galley"
    return "galley-" + hashlib.sha256(os.fsencode(home.root)).hexdigest()[:8]


def endpoint(home: Home) -> str:
    return f"unix://{home.docker_socket}"


def ensure(home: Home) -> Problem | None:
    """Make the context if there is none, and make it current at that moment if the user has none.

    Later starts do not make it current again: `docker context use default` is an answer. Returns
    what stands in the way; raises HostError when docker's files cannot be used.
    """
    meta = _meta(home)
    found = _read_json(meta)
    if found and not _is_ours(home, found):
        return _foreign(home, found).to_problem()
    if _at(found, "Endpoints", "docker", "Host") == endpoint(home):
        return None  # as it should be, with what the user may have made of the rest
    _write(meta, json.dumps(_content(home), separators=(",", ":")).encode(), 0o644)
    if not found:
        _use_if_none(home)
    return None


def remove(home: Home) -> None:
    """Delete our context, and let docker go back to its default if ours was current."""
    found = _read_json(_meta(home))
    if not found or not _is_ours(home, found):
        return
    config = _read_json(_config())
    if config.get("currentContext") == context_name(home):
        del config["currentContext"]
        _write_config(config)
    shutil.rmtree(_meta(home).parent, ignore_errors=True)


def use(home: Home) -> None:
    """Let a plain `docker` talk to us. Raises HostError, also where there is no such context."""
    problem = ensure(home)
    if problem is not None:
        raise from_problem(problem)
    _write_config({**_read_json(_config()), "currentContext": context_name(home)})


def is_current(home: Home) -> bool:
    """Whether a plain `docker` talks to us by this context."""
    return _read_json(_config()).get("currentContext") == context_name(home)


def _use_if_none(home: Home) -> None:
    config = _read_json(_config())
    chosen = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT")
    if chosen or config.get("currentContext"):
        return
    _write_config({**config, "currentContext": context_name(home)})


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
    """What is found along `keys`, None when the way ends early: the file may hold anything."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _foreign(home: Home, meta: dict[str, Any]) -> HostError:
    name, points_at = context_name(home), _at(meta, "Endpoints", "docker", "Host")
    return HostError(
        f"The docker context {name} is not Galley's: it points at {points_at or 'no address'}.",
        f"Galley leaves it alone. To use it here, run `docker context rm {name}` and restart.",
    )


def _docker_directory() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _config() -> Path:
    return _docker_directory() / "config.json"


def _meta(home: Home) -> Path:
    folder = hashlib.sha256(context_name(home).encode()).hexdigest()
    return _docker_directory() / "contexts" / "meta" / folder / "meta.json"


def _read_json(path: Path) -> dict[str, Any]:
    """The object in the file, {} when there is no file or it is empty."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    if not isinstance(found, dict):
        raise _unusable(path, ValueError("it holds no JSON object"))
    return found


def _write_config(config: dict[str, Any]) -> None:
    """As docker does: tabs, other fields kept in their order, and a symbolic link stays one."""
    path = _config()
    text = json.dumps(config, indent="\t", ensure_ascii=False) + "\n"
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    _write(Path(os.path.realpath(path)), text.encode(), mode)


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        write_atomic(path, data, mode)
    except HostError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> HostError:
    return HostError(
        f"Docker's file {path} cannot be used: {error}.",
        "Correct it, or do without a context: `galley settings set use_context false`.",
        details=str(error),
    )
