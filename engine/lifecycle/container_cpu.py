"""How much CPU containers use, as dockerd reads it from their cgroups.

Next: `saver_thread.py`, which checks it before it pauses the machine under them.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from engine.dockerapi.http import Dial, HttpError, get_json
from engine.lifecycle.saver_rules import Containers, unpaused
from engine.messages.engine import ENGINE_NO_CPU_USE
from engine.ports.published_spec import Container
from vm.errors import EngineUnreachable

IDLE_CPU = 0.01  # seconds of CPU in a second, up to which containers count as idle


class CpuMeter(Protocol):
    def cpu_seconds(self, containers: Iterable[Container]) -> float:
        """CPU seconds of all of them together, since each was started. Raises GalleyError."""


class _Usage(msgspec.Struct, frozen=True):
    total_usage: int = 0  # nanoseconds


class _Cpu(msgspec.Struct, frozen=True):
    cpu_usage: _Usage = _Usage()


class _Stats(msgspec.Struct, frozen=True):
    """The fields of GET /containers/ID/stats that are read."""

    cpu_stats: _Cpu = _Cpu()


class ContainerCpu:
    """A `CpuMeter`. `dial` reaches dockerd without counting as use of the engine."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    def cpu_seconds(self, containers: Iterable[Container]) -> float:
        """Raises EngineUnreachable."""
        paths = (f"/containers/{one.Id}/stats?stream=false&one-shot=true" for one in containers)
        try:
            stats = [get_json(self._dial, path, _Stats) for path in paths]
        except (HttpError, OSError) as error:
            raise EngineUnreachable(ENGINE_NO_CPU_USE, details=str(error)) from error
        return sum(one.cpu_stats.cpu_usage.total_usage for one in stats) / 1e9


class CpuUseCheck:
    """Compares two readings. For one thread."""

    def __init__(self, meter: CpuMeter, clock: Callable[[], float]) -> None:
        self._meter = meter
        self._clock = clock
        self._containers: Containers | None = None  # of the last reading
        self._read_at = 0.0
        self._used = 0.0

    def are_idle(self, containers: Containers) -> bool:
        """Whether those that are not paused have used no CPU since the last call with the same
        tuple; False at the first. Raises GalleyError."""
        running = unpaused(containers)
        if not running:
            return True
        used, now = self._meter.cpu_seconds(running), self._clock()
        is_second = containers is self._containers
        is_idle = is_second and used - self._used <= IDLE_CPU * (now - self._read_at)
        self._containers, self._read_at, self._used = containers, now, used
        return is_idle
