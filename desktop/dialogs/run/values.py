"""Parses what users type into the Run dialog.

Each function returns the value, or raises `Wrong` with the message that the form shows. Next:
`rows.py`.
"""

import re
import shlex

from desktop.i18n.text import tr
from engine.docker.types import ANY_PORT

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
MEMORY = re.compile(r"(\d+(?:[.,]\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
UNITS = {"": 20, "k": 10, "m": 20, "g": 30, "t": 40}  # powers of two; a bare number is MB
LEAST_MEMORY = 6 << 20  # Docker's own


class Wrong(Exception):
    """Its text is shown in the form."""


def container_name(text: str) -> str:
    name = text.strip()
    if name and not NAME.fullmatch(name):
        raise Wrong(
            tr("Use letters, digits, - _ and . and begin with a letter or digit; two at least.")
        )
    return name


def port_number(text: str) -> int:
    typed = text.strip()
    if not typed.isdecimal() or not 1 <= int(typed) <= 65535:
        raise Wrong(tr("A port is a number from 1 to 65535."))
    return int(typed)


def free_port(text: str) -> int:
    """Of the host; "" lets Docker choose."""
    return port_number(text) if text.strip() else ANY_PORT


def host_address(text: str) -> str:
    address = text.strip().strip("[]")
    if not address:
        return ""
    import ipaddress

    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise Wrong(tr("An address is like 127.0.0.1; empty means all of them.")) from None
    return address


def variable(name: str, value: str) -> str:
    key = name.strip()
    if "=" in key and not value:  # NAME=value, pasted into the first field
        key, _, value = key.partition("=")
    if not key or "=" in key or " " in key:
        raise Wrong(tr("A variable needs a name, without = and spaces."))
    return f"{key}={value}"


def mount_source(text: str) -> tuple[str, str]:
    """Kind and source."""
    where = text.strip()
    if re.match(r"[/~\\]|[A-Za-z]:[\\/]", where):
        return "bind", where
    if where and not NAME.fullmatch(where):
        raise Wrong(tr("Enter a volume name, or a host path that begins with /."))
    return "volume", where


def mount_target(text: str) -> str:
    path = text.strip()
    if not path.startswith("/"):
        raise Wrong(tr("The path in the container begins with /."))
    return path


def memory(text: str) -> int:
    """Bytes, 0 for no limit."""
    typed = text.strip()
    if not typed:
        return 0
    found = MEMORY.fullmatch(typed)
    if found is None:
        raise Wrong(tr("Write it like 512 MiB or 2 GiB."))
    number = float(found[1].replace(",", "."))
    wanted = round(number * (1 << UNITS[found[2].lower()]))
    if wanted and wanted < LEAST_MEMORY:
        raise Wrong(tr("Docker needs 6 MiB at least."))
    return wanted


def memory_text(size: int) -> str:
    if not size:
        return ""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size / (1 << 20):.3f} MiB"


def cores(text: str) -> float:
    """0 for no limit."""
    typed = text.strip().replace(",", ".")
    if not typed:
        return 0.0
    try:
        number = float(typed)
    except ValueError:
        number = -1.0
    if not 0.01 <= number <= 1024:
        raise Wrong(tr("Write a number of cores, like 0.5 or 2."))
    return number


def command(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise Wrong(tr("A quotation mark is not closed.")) from None
