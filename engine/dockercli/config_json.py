"""Docker's configuration on this computer, read and written as the docker CLI does it.

    $DOCKER_CONFIG or ~/.docker
        config.json          the current context, credential stores, the user's settings
        galley-config.lock   held by the Galley process that changes it

The keyring has a lock of its own (`engine/credentials/keyring.py`), for it may wait for its user.
`context.py`, `engine/credentials/logins.py` and `engine/provisioning/docker_config_proxies.py`
decide what is written.
"""

import contextlib
import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.messages.host import DOCKER_CLI_BAD_CONFIG, DOCKER_CLI_CONFIG_LOCKED

if TYPE_CHECKING:
    from vm.errors import HostError

PATIENCE = 10.0  # seconds to wait for another Galley process, which may be stopped


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


def change(edit: Callable[[dict[str, Any]], None]) -> None:
    """Let `edit` change the content of config.json. Writes nothing where nothing changes.

    `edit` may be called twice, the second time under the lock; it must depend on its argument only.
    Raises HostError.
    """
    if _changed(edit) is None:  # also in a folder that cannot be written
        return
    with alone():
        config = _changed(edit)
        if config is not None:
            _write(config)


def _changed(edit: Callable[[dict[str, Any]], None]) -> dict[str, Any] | None:
    """The changed content; None if `edit` changes nothing."""
    config = read()
    before = copy.deepcopy(config)
    edit(config)
    return None if config == before else config


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A lock among Galley's processes that change docker's files; not reentrant. Raises
    HostError."""
    from vm.errors import HostError, Retry
    from vm.host.lock import FileLock

    lock = FileLock(folder() / "galley-config.lock")
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        is_ours = lock.acquire(timeout=PATIENCE)
    except OSError as error:
        raise _unusable(path(), error) from error
    if not is_ours:
        raise HostError(
            DOCKER_CLI_CONFIG_LOCKED,
            file=path(),
            details=f"{lock.path} was locked for {PATIENCE:.0f} s",
            retry=Retry.YES,
        )
    try:
        yield
    finally:
        lock.release()


def _write(config: dict[str, Any]) -> None:
    """As docker does: tabs, other fields kept in their order, and a symbolic link stays one."""
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
        DOCKER_CLI_BAD_CONFIG,
        file=file,
        error=error,
        details=str(error),
    )
