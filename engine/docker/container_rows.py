"""GET /containers/json, decoded into rows.

A thousand rows are decoded at every change, so only shown fields are decoded. Next:
`container_detail.py`, which decodes one container in full.
"""

import re

import msgspec

from engine.docker.types import INTERNAL, Container, ContainerState, Port

_EXIT_CODE = re.compile(r"(?:Exited|Restarting) \((-?\d+)\)")
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)$")
EVERY_ADDRESS = ("0.0.0.0", "::")  # how dockerd writes that no address was given
COMPOSE = "com.docker.compose.project"


class _Port(msgspec.Struct):
    PrivatePort: int
    Type: str = "tcp"
    IP: str = ""
    PublicPort: int = 0


class _Networks(msgspec.Struct):
    Networks: dict[str, msgspec.Raw] | None = None


class _Mount(msgspec.Struct):
    Type: str = ""
    Name: str = ""
    Source: str = ""


class _Row(msgspec.Struct):
    Id: str
    Names: list[str] | None
    Image: str
    ImageID: str
    State: ContainerState
    Status: str
    Created: float
    Command: str = ""
    Ports: list[_Port] | None = None
    Labels: dict[str, str] | None = None
    NetworkSettings: _Networks | None = None
    Mounts: list[_Mount] | None = None


_decoder = msgspec.json.Decoder(list[_Row])


def rows(answer: bytes) -> tuple[Container, ...]:
    """Without the containers that Galley makes for itself."""
    return tuple(_row(row) for row in _decoder.decode(answer) if INTERNAL not in (row.Labels or ()))


def _row(row: _Row) -> Container:
    labels = row.Labels or {}
    exit_code = _EXIT_CODE.match(row.Status)
    health = _HEALTH.search(row.Status) if row.Status.endswith(")") else None
    networks = row.NetworkSettings and row.NetworkSettings.Networks
    return Container(
        id=row.Id,
        name=_own_name(row.Names or [row.Id[:12]]),
        image=row.Image,
        image_id=row.ImageID,
        state=row.State,
        status=row.Status,
        created=row.Created,
        command=row.Command,
        exit_code=int(exit_code[1]) if exit_code else None,
        health=health[1] if health else "",
        ports=tuple(sorted({_port(port) for port in row.Ports})) if row.Ports else (),
        project=labels.get(COMPOSE, ""),
        service=labels.get("com.docker.compose.service", ""),
        project_folder=labels.get(f"{COMPOSE}.working_dir", ""),
        networks=tuple(networks or ()),
        mounts=tuple(filter(None, (mount.Name or mount.Source for mount in row.Mounts or ()))),
    )


def _own_name(names: list[str]) -> str:
    """A linked container also has the names that others call it by: /other/alias."""
    return next((name for name in names if name.count("/") == 1), names[0]).lstrip("/")


def _port(port: _Port) -> Port:
    """IPv4 and IPv6 of the same port are one: both mean every address."""
    address = "" if port.IP in EVERY_ADDRESS else port.IP
    return Port(port.PrivatePort, port.Type, address, port.PublicPort)
