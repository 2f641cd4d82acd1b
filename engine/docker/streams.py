"""Logs and stats of a container, as endless streams.

Every stream is a generator that one thread reads; it ends with the container, or raises Cancelled
when another thread sets its Cancel. Next: `log_lines.py`.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from engine.docker.cancel import Cancel
from engine.docker.containers import Containers
from engine.docker.log_lines import LogParser
from engine.docker.types import LogLine, StatsSample
from engine.json_input import UNREADABLE
from engine.messages.docker import DOCKER_ODD_READING
from vm.errors import EngineUnreachable

ALL = -1
_NO_LIMIT = 1 << 60  # a limit above this means that there is none


def logs(
    containers: Containers,
    container: str,
    cancel: Cancel,
    follow: bool = True,
    tail: int = 1000,
    since: float = 0.0,
) -> Iterator[tuple[LogLine, ...]]:
    """Batches, as they arrive. `tail`: how many lines of the past, or ALL."""
    parser = LogParser(tty=bool(containers.raw(container)["Config"]["Tty"]))
    asked = {
        "stdout": 1,
        "stderr": 1,
        "timestamps": 1,
        "follow": int(follow),
        "tail": "all" if tail == ALL else tail,
        "since": f"{since:.9f}" if since else None,
    }
    for data in containers.wire.chunks(f"/containers/{container}/logs", cancel, asked):
        if lines := parser.feed(data):
            yield lines
    if lines := parser.end():
        yield lines


def stats(containers: Containers, container: str, cancel: Cancel) -> Iterator[StatsSample]:
    """One sample a second, which is dockerd's pace."""
    for line in containers.wire.lines(f"/containers/{container}/stats", cancel, stream=1):
        yield _sample(line)


def stats_once(containers: Containers, container: str) -> StatsSample:
    """One reading at once, for a caller that has the one before: dockerd does not measure twice."""
    path = f"/containers/{container}/stats"
    return _sample(containers.wire.get(path, **{"stream": 0, "one-shot": 1}))


def _sample(line: bytes) -> StatsSample:
    try:
        now = msgspec.json.decode(line, type=_Stats)
    except UNREADABLE as error:  # else it would end the reading thread
        raise EngineUnreachable(DOCKER_ODD_READING, details=str(error)) from error
    memory = now.memory_stats
    cache = memory.stats.get("total_inactive_file", memory.stats.get("inactive_file", 0))
    disk = now.blkio_stats.io_service_bytes_recursive or ()
    networks = (now.networks or {}).values()
    limit = now.pids_stats.limit
    return StatsSample(
        time=now.read.timestamp(),
        cpu=_cores(now),
        memory=memory.usage - cache if cache < memory.usage else memory.usage,
        memory_limit=memory.limit,
        processes=now.pids_stats.current,
        process_limit=limit if limit < _NO_LIMIT else 0,
        net_received=sum(one.rx_bytes for one in networks),
        net_sent=sum(one.tx_bytes for one in networks),
        disk_read=sum(entry.value for entry in disk if entry.op.lower() == "read"),
        disk_written=sum(entry.value for entry in disk if entry.op.lower() == "write"),
        cpu_seconds=now.cpu_stats.cpu_usage.total_usage / 1e9,
    )


def _cores(now: "_Stats") -> float:
    """Time on CPUs per time, between this reading and the one before; 0.0 in the first."""
    if now.preread.year <= 1:
        return 0.0
    passed = (now.read - now.preread).total_seconds()
    used = now.cpu_stats.cpu_usage.total_usage - now.precpu_stats.cpu_usage.total_usage
    return max(used / 1e9 / passed, 0.0) if passed > 0 else 0.0


class _CpuUsage(msgspec.Struct):
    total_usage: int = 0


class _Cpu(msgspec.Struct):
    cpu_usage: _CpuUsage = msgspec.field(default_factory=_CpuUsage)


class _Memory(msgspec.Struct):
    usage: int = 0
    limit: int = 0
    stats: dict[str, int] = {}


class _Pids(msgspec.Struct):
    current: int = 0
    limit: int = 0


class _Disk(msgspec.Struct):
    op: str = ""
    value: int = 0


class _Disks(msgspec.Struct):
    io_service_bytes_recursive: list[_Disk] | None = None


class _Net(msgspec.Struct):
    rx_bytes: int = 0
    tx_bytes: int = 0


class _Stats(msgspec.Struct):
    read: datetime
    preread: datetime
    cpu_stats: _Cpu = msgspec.field(default_factory=_Cpu)
    precpu_stats: _Cpu = msgspec.field(default_factory=_Cpu)
    memory_stats: _Memory = msgspec.field(default_factory=_Memory)
    pids_stats: _Pids = msgspec.field(default_factory=_Pids)
    blkio_stats: _Disks = msgspec.field(default_factory=_Disks)
    networks: dict[str, _Net] | None = None
