"""Docker's own configuration on this computer, read and written as the docker CLI does it.

    $DOCKER_CONFIG or ~/.docker
        config.json       which context is in use, where logins are kept, what the user has set

May import: `vm`, and that only in functions: the credential helper comes through here, and docker
waits for it. What Galley writes in it is the business of `context.py` and `logins.py`.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vm.errors import HostError


def folder() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def path() -> Path:
    return folder() / "config.json"


def read() -> dict[str, Any]:
    """config.json. Raises HostError where it cannot be used."""
    return read_json(path())


def read_json(file: Path) -> dict[str, Any]:
    """The object in the file, {} when there is no file or it is empty."""
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unusable(file, error) from error
    if not isinstance(found, dict):
        raise _unusable(file, ValueError("it holds no JSON object"))
    return found


def write(config: dict[str, Any]) -> None:
    """config.json, as docker does: tabs, other fields kept in their order, and a symbolic link
    stays one."""
    text = json.dumps(config, indent="\t", ensure_ascii=False) + "\n"
    mode = path().stat().st_mode & 0o777 if path().exists() else 0o600
    replace(Path(os.path.realpath(path())), text.encode(), mode)


def replace(file: Path, data: bytes, mode: int) -> None:
    from vm.errors import HostError
    from vm.host.paths import write_atomic

    try:
        write_atomic(file, data, mode)
    except HostError as error:
        raise _unusable(file, error) from error


def _unusable(file: Path, error: Exception) -> "HostError":
    from vm.errors import HostError

    return HostError(
        f"Docker's file {file} cannot be used: {error}.",
        "Correct it, or let Galley leave it alone: `galley settings set use_context false`, and "
        "the same for use_keyring.",
        details=str(error),
    )
