"""How much CPU containers have used, as dockerd has it from their cgroups. `resource_saver.py` asks
before it pauses under them.
"""

from collections.abc import Iterable

import msgspec

from engine.dockerapi.http import Dial, HttpError, get_json
from engine.ports.published_spec import Container
from vm.errors import EngineUnreachable


class _Usage(msgspec.Struct, frozen=True):
    total_usage: int = 0  # nanoseconds


class _Cpu(msgspec.Struct, frozen=True):
    cpu_usage: _Usage = _Usage()


class _Stats(msgspec.Struct, frozen=True):
    """The fields of GET /containers/ID/stats that are read."""

    cpu_stats: _Cpu = _Cpu()


def cpu_seconds(dial: Dial, containers: Iterable[Container]) -> float:
    """Of all of them together, since each began. Raises EngineUnreachable."""
    paths = (f"/containers/{one.Id}/stats?stream=false&one-shot=true" for one in containers)
    try:
        used = [get_json(dial, path, _Stats).cpu_stats.cpu_usage.total_usage for path in paths]
    except (HttpError, OSError) as error:
        raise EngineUnreachable(
            "The Docker Engine does not say how much CPU containers use.", details=str(error)
        ) from error
    return sum(used) / 1e9
