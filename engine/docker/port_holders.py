"""Finds the container that publishes a port which another one requests.

dockerd's error has the port, and not the container. Next: `errors.py`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from engine.docker.types import Container
from engine.messages.docker import PORT_OF_CONTAINER
from vm.errors import EngineRefused, GalleyError

_ALLOCATED = re.compile(r":(\d+) failed: port is already allocated")


@contextmanager
def naming_port_holder(running: Callable[[], Sequence[Container]]) -> Iterator[None]:
    """Names the container in the error. `running` is called for a refusal of a port only."""
    try:
        yield
    except EngineRefused as error:
        found = _ALLOCATED.search(error.summary)
        holder = _holder(running, int(found[1])) if found else ""
        if found is None or not holder:
            raise
        raise EngineRefused(
            PORT_OF_CONTAINER,
            port=found[1],
            container=holder,
            details=error.details,
            retry=error.retry,
        ) from error


def _holder(running: Callable[[], Sequence[Container]], port: int) -> str:
    """ "" where none has it, or the list fails."""
    try:
        rows = running()
    except GalleyError:
        return ""
    return next((row.name for row in rows if port in {p.host_port for p in row.ports}), "")
