"""GET /containers/{id}/top: parses the columns of different `ps` programs.

Next: `containers.py`, which requests it.
"""

import msgspec

from engine.docker.types import ContainerProcess

# Columns, from all that are shown to those that every `ps` has; busybox's has no CPU share.
PS_ARGUMENTS = ("-eo pid,ppid,user,rss,pcpu,args", "-eo pid,ppid,user,rss,args", None)
_COLUMNS = {"UID": "USER", "CMD": "COMMAND", "ARGS": "COMMAND"}
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_processes(answer: bytes) -> tuple[ContainerProcess, ...]:
    table = msgspec.json.decode(answer, type=_Top)
    titles = [_COLUMNS.get(title.upper(), title.upper()) for title in table.Titles]
    return tuple(_process(dict(zip(titles, row, strict=False))) for row in table.Processes or ())


def _process(row: dict[str, str]) -> ContainerProcess:
    return ContainerProcess(
        pid=int(row.get("PID", 0)),
        parent=int(row.get("PPID", 0)),
        user=row.get("USER", ""),
        command=row.get("COMMAND", ""),
        memory=_size(row.get("RSS", "0")),
        cpu=float(row.get("%CPU", 0.0)) / 100,
    )


def _size(text: str) -> int:
    """KiB, which busybox writes as 12m when they are many, and as 1.5g when they are more."""
    unit = _UNITS.get(text[-1:].lower())
    return round(float(text[:-1]) * unit) if unit else int(text) * 1024


class _Top(msgspec.Struct):
    Titles: list[str]
    Processes: list[list[str]] | None = None
