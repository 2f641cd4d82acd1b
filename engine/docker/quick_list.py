"""Lists the containers of an engine before the docker SDK is imported, which takes 0.1 s.

The window shows them meanwhile. Only for a local socket. Next: `client.py`, which does all else.
"""

from pathlib import Path

import msgspec

from engine.bridge import unix
from engine.docker.container_rows import rows
from engine.docker.types import Container
from engine.dockerapi import http
from engine.dockercli.endpoint import Endpoint
from engine.messages.docker import DOCKER_SILENT_LIST
from vm.errors import EngineUnreachable

LIST = "/containers/json?all=1"


def containers(endpoint: Endpoint) -> tuple[Container, ...]:
    """Raises EngineUnreachable."""
    path = Path(endpoint.url.removeprefix("unix://"))
    try:
        return rows(http.get(lambda: unix.connect(path, own=endpoint.own), LIST))
    except (OSError, http.HttpError, msgspec.MsgspecError) as error:
        raise EngineUnreachable(DOCKER_SILENT_LIST, details=str(error)) from error
