"""Networks: list with their containers, create, connect, remove.

The containers of a network come from one list of all containers: GET /networks does not have them,
and inspecting each network is a request each. Next: `client.py`.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from engine.docker.sdk import docker
from engine.docker.streaming_request import pretty, quoted
from engine.docker.timestamps import seconds
from engine.docker.transport import Wire
from engine.docker.types import INTERNAL, Attachment, Network, Pruned


class _Range(msgspec.Struct):
    subnet: str = msgspec.field(name="Subnet", default="")
    gateway: str = msgspec.field(name="Gateway", default="")


class _Addresses(msgspec.Struct):
    ranges: list[_Range] | None = msgspec.field(name="Config", default=None)


class _Row(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    name: str = msgspec.field(name="Name")
    driver: str = msgspec.field(name="Driver", default="")
    scope: str = msgspec.field(name="Scope", default="")
    created: str | None = msgspec.field(name="Created", default=None)
    internal: bool = msgspec.field(name="Internal", default=False)
    addresses: _Addresses = msgspec.field(name="IPAM", default_factory=_Addresses)

    def network(self, attached: tuple[Attachment, ...]) -> Network:
        ranges = self.addresses.ranges or []
        return Network(
            id=self.id,
            name=self.name,
            driver=self.driver,
            scope=self.scope,
            created=seconds(self.created),
            subnets=tuple(each.subnet for each in ranges if each.subnet),
            gateway=next((_without_prefix(each.gateway) for each in ranges if each.gateway), ""),
            internal=self.internal,
            attached=attached,
        )


class _Endpoint(msgspec.Struct):
    network: str = msgspec.field(name="NetworkID", default="")
    address: str = msgspec.field(name="IPAddress", default="")


class _Settings(msgspec.Struct):
    networks: dict[str, _Endpoint] | None = msgspec.field(name="Networks", default=None)


class _Container(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    names: list[str] | None = msgspec.field(name="Names", default=None)
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)
    settings: _Settings = msgspec.field(name="NetworkSettings", default_factory=_Settings)

    @property
    def name(self) -> str:
        return min(self.names or [self.id[:12]], key=lambda name: name.count("/")).lstrip("/")


class _PruneAnswer(msgspec.Struct):
    deleted: list[str] | None = msgspec.field(name="NetworksDeleted", default=None)


class Networks:
    """The networks of an engine."""

    def __init__(self, api: docker.APIClient) -> None:
        self._wire = Wire(api)

    def list(self) -> tuple[Network, ...]:
        rows = msgspec.json.decode(self._wire.get("/networks"), type=list[_Row])
        answer = self._wire.get("/containers/json", all=1)
        listed = msgspec.json.decode(answer, type=list[_Container])
        containers = [each for each in listed if INTERNAL not in (each.labels or {})]
        found = (row.network(tuple(_attached(row, containers))) for row in rows)
        # Docker's order is another one each time.
        return tuple(sorted(found, key=lambda each: (each.is_builtin, each.name)))

    def create(
        self,
        name: str,
        driver: str = "bridge",
        subnet: str = "",
        gateway: str = "",
        internal: bool = False,
    ) -> None:
        wanted: dict[str, Any] = {"Name": name, "Driver": driver, "Internal": internal}
        given = {key: text for key, text in (("Subnet", subnet), ("Gateway", gateway)) if text}
        if given:
            wanted["IPAM"] = {"Config": [given]}
        # Before API 1.44 dockerd makes a second one of the same name, unless asked to check.
        self._wire.post("/networks/create", {**wanted, "CheckDuplicate": True})

    def remove(self, network: str) -> None:
        self._wire.delete(f"/networks/{quoted(network)}")

    def connect(
        self, network: str, container: str, aliases: Sequence[str] = (), address: str = ""
    ) -> None:
        endpoint: dict[str, Any] = {"Aliases": list(aliases)}
        if address:
            family = "IPv6Address" if ":" in address else "IPv4Address"
            endpoint["IPAMConfig"] = {family: address}
        wanted = {"Container": container, "EndpointConfig": endpoint}
        self._wire.post(f"/networks/{quoted(network)}/connect", wanted)

    def disconnect(self, network: str, container: str, force: bool = False) -> None:
        wanted = {"Container": container, "Force": force}
        self._wire.post(f"/networks/{quoted(network)}/disconnect", wanted)

    def prune(self) -> Pruned:
        answer = self._wire.post("/networks/prune")
        done = msgspec.json.decode(answer, type=_PruneAnswer)
        return Pruned(tuple(done.deleted or ()), 0)

    def inspect(self, network: str) -> bytes:
        """Docker's JSON, indented."""
        return pretty(self._wire.get(f"/networks/{quoted(network)}"))


def _attached(row: _Row, containers: Sequence[_Container]) -> Iterator[Attachment]:
    """A container that has never run has only its network's name, not its id."""
    for container in containers:
        for name, endpoint in (container.settings.networks or {}).items():
            if endpoint.network == row.id or (not endpoint.network and name == row.name):
                yield Attachment(container.id, container.name, endpoint.address)


def _without_prefix(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)
