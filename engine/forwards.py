"""Published ports: what containers publish in the guest appears on this host.

Wanted ports come from dockerd (`watch.py` says when to look again), carried ones from the backend;
`PublishedPorts.sync` closes the difference. May import: `vm`, `engine.types`.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from engine.types import PublishedPort
from vm.errors import GalleyError, Problem
from vm.types import Forward

log = logging.getLogger(__name__)

EVERY_ADDRESS = ("", "0.0.0.0", "::")  # how dockerd writes "no address was given"


class Carrier(Protocol):
    """Who carries a port: the backend of the running machine."""

    def forward(self, forward: Forward) -> None: ...
    def unforward(self, forward: Forward) -> None: ...
    def forwarded(self) -> frozenset[Forward]: ...


class ContainerPort(msgspec.Struct, frozen=True):
    """`Ports[]` of Docker's GET /containers/json."""

    PrivatePort: int
    Type: str
    PublicPort: int = 0
    IP: str = ""


class Network(msgspec.Struct, frozen=True):
    IPAddress: str = ""


class Networks(msgspec.Struct, frozen=True):
    Networks: dict[str, Network] = {}


class Mount(msgspec.Struct, frozen=True):
    """`Mounts[]` of GET /containers/json. `Source` is a path in the guest."""

    Type: str = ""
    Source: str = ""


class Container(msgspec.Struct, frozen=True):
    """The fields of GET /containers/json that say what is published, where it leads, and which
    folders it has."""

    Names: tuple[str, ...] = ()
    Ports: tuple[ContainerPort, ...] | None = ()
    NetworkSettings: Networks = Networks()
    Mounts: tuple[Mount, ...] | None = ()

    @property
    def name(self) -> str:
        return (self.Names or ("?",))[0].lstrip("/")

    @property
    def address(self) -> str:
        """Where it answers in the guest; "" when it has no network of its own."""
        networks = self.NetworkSettings.Networks.values()
        return next((network.IPAddress for network in networks if network.IPAddress), "")


def wanted_ports(containers: Iterable[Container], address: str) -> list[PublishedPort]:
    """The ports that `containers` publish; `address` is used where none was given.

    dockerd lists a port once for IPv4 and once for IPv6; both are one here.
    """
    wanted: dict[Forward, PublishedPort] = {}
    for container in containers:
        for port in container.Ports or ():
            if not port.PublicPort or port.Type not in ("tcp", "udp"):
                continue
            host = address if port.IP in EVERY_ADDRESS else port.IP
            forward = Forward(host, port.PublicPort, port.PublicPort, port.Type)
            wanted[forward] = PublishedPort(container.name, port.PrivatePort, forward)
    return list(wanted.values())


def routes(containers: Iterable[Container]) -> bytes:
    """iptables-restore input that leads ports published on one address to their containers.

    dockerd's own rule for `-p 127.0.0.1:80:80` asks for packets to 127.0.0.1, but what the backend
    carries arrives at the guest's network card, under the guest's address.
    """
    rules = set()
    for container in containers:
        for port in container.Ports or ():
            if port.PublicPort and port.IP not in EVERY_ADDRESS and container.address:
                target = f"{container.address}:{port.PrivatePort}"
                rules.add(
                    f"-A GALLEY -p {port.Type} --dport {port.PublicPort} "
                    f"-j DNAT --to-destination {target}"
                )
    lines = ["*nat", ":GALLEY - [0:0]", *sorted(rules), "COMMIT", ""]
    return "\n".join(lines).encode()


class PublishedPorts:
    """Keeps the host's ports as dockerd wants them. Thread-safe; one sync at a time."""

    def __init__(self, carrier: Carrier, on_change: Callable[[], None]) -> None:
        self._carrier = carrier
        self._on_change = on_change
        self._turn = threading.Lock()
        self._ports: tuple[PublishedPort, ...] = ()

    @property
    def ports(self) -> tuple[PublishedPort, ...]:
        return self._ports

    def sync(self, wanted: list[PublishedPort]) -> None:
        """Open what is missing, close what is no longer wanted; a taken port is told, not fatal."""
        with self._turn:
            carried = self._carrier.forwarded()
            keep = {port.forward for port in wanted}
            for forward in sorted(carried - keep):
                self._try(self._carrier.unforward, forward)
            seen = tuple(self._open(port, carried) for port in wanted)
            changed, self._ports = seen != self._ports, seen
        if changed:
            self._on_change()

    def forget(self) -> None:
        """The machine is gone, and its forwards with it."""
        with self._turn:
            changed, self._ports = bool(self._ports), ()
        if changed:
            self._on_change()

    def _open(self, port: PublishedPort, carried: frozenset[Forward]) -> PublishedPort:
        if port.forward in carried:
            return port
        problem = self._try(self._carrier.forward, port.forward)
        return msgspec.structs.replace(port, problem=problem)

    @staticmethod
    def _try(call: Callable[[Forward], None], forward: Forward) -> Problem | None:
        try:
            call(forward)
        except GalleyError as error:
            log.warning("port %s: %s", forward, error)
            return error.to_problem()
        return None
