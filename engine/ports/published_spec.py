"""Reads what containers publish from dockerd: forwards of this host and routes of the guest.

`GET /containers/json` has the ports that are published now, but not whether an address was asked
for: it has 0.0.0.0 either way, and leaves out IPv6 addresses that its own network cannot serve.
`GET /containers/ID/json` has it, so each container here comes with that. Next:
`guest_port_allocator.py`, `published.py`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import msgspec

from engine.types import PublishedPort
from vm.types import Forward

EVERY_IPV4, EVERY_IPV6 = "0.0.0.0", "::"
ANY_ADDRESS = ("", EVERY_IPV4, EVERY_IPV6)
TWINS = {"127.0.0.1": "::1", EVERY_IPV4: EVERY_IPV6}  # the same for clients that prefer IPv6
PROTOCOLS = ("tcp", "udp")
_PORT = re.compile(r"[0-9]{1,5}")
UNALLOCATED = 0  # guest port that `guest_port_allocator.py` chooses; `routes` leads from there
HOST_NETWORK = "host"
UNPUBLISHED = (HOST_NETWORK, "none", "container:")  # networks whose containers publish nothing


# A container list with any other value is refused as a whole: dockerd writes none.
PortNumber = Annotated[int, msgspec.Meta(ge=0, le=65535)]
IpAddress = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Fa-f:.]*(%[\w.-]+)?\Z")]


class ContainerPort(msgspec.Struct, frozen=True):
    """`Ports[]` of Docker's GET /containers/json."""

    PrivatePort: PortNumber
    Type: str
    PublicPort: PortNumber = 0
    IP: IpAddress = ""


class Network(msgspec.Struct, frozen=True):
    """A container's endpoint on one network. Those without an external gateway (`--internal`,
    overlay) have no `Gateway`. `GwPriority` is there from Docker 28 on."""

    IPAddress: str = ""
    Gateway: str = ""
    IPv6Gateway: str = ""
    GwPriority: int = 0


class Networks(msgspec.Struct, frozen=True):
    Networks: dict[str, Network] = {}


class Mount(msgspec.Struct, frozen=True):
    """`Mounts[]` of a container, in lists too. `Source` is a path in the guest."""

    Type: str = ""
    Source: str = ""


class TaskLabels(msgspec.Struct, frozen=True):
    """The labels of a container that is a task of a swarm's service."""

    service: str = msgspec.field(default="", name="com.docker.swarm.service.id")


class Container(msgspec.Struct, frozen=True):
    """The fields of GET /containers/json that say which ports are published, the container's
    addresses and folders, and whether it is paused."""

    Id: str = ""
    Names: tuple[str, ...] = ()
    Ports: tuple[ContainerPort, ...] | None = ()
    NetworkSettings: Networks = Networks()
    Mounts: tuple[Mount, ...] | None = ()
    State: str = ""
    Labels: TaskLabels | None = None

    @property
    def is_task(self) -> bool:
        return self.Labels is not None and bool(self.Labels.service)

    @property
    def is_on_host_network(self) -> bool:
        """Whether it has the machine's own network instead of one of its own."""
        return HOST_NETWORK in self.NetworkSettings.Networks

    @property
    def publishes(self) -> bool:
        return any(port.PublicPort for port in self.Ports or ())

    @property
    def publishes_udp(self) -> bool:
        return any(port.PublicPort and port.Type == "udp" for port in self.Ports or ())

    @property
    def name(self) -> str:
        names = (name.lstrip("/") for name in self.Names)
        return next((name for name in names if "/" not in name), "?")  # others are links' aliases

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses in the guest, on each of its networks."""
        networks = self.NetworkSettings.Networks.values()
        return tuple(network.IPAddress for network in networks if network.IPAddress)

    @property
    def gateway_address(self) -> str:
        """Its address on the network that has its default route, which is where dockerd publishes
        its ports; "" when it has none.

        The rule is libnetwork's `selectGatewayEndpoint`, the same in Docker 26 and 28: dual-stack
        networks first, then by priority, then by name. dockerd's own DNAT rules would show it too,
        but only for IPv4 addresses, at the price of a command in the guest for each change, and in
        a format that changes with dockerd's firewall backend.
        """
        networks = self.NetworkSettings.Networks.items()
        found = [(name, network) for name, network in networks if network.Gateway]
        found.sort(key=lambda each: (not each[1].IPv6Gateway, -each[1].GwPriority, each[0]))
        return found[0][1].IPAddress if found else ""


class Binding(msgspec.Struct, frozen=True):
    """As requested at create: HostPort is a number, a range ("8000-8010"), or empty for any."""

    HostIp: IpAddress = ""
    HostPort: str | None = ""

    @property
    def port(self) -> int:
        """0 where dockerd chooses."""
        return _number(self.HostPort or "")

    @property
    def range(self) -> range:
        """The ports that dockerd chooses from; empty for any port."""
        first, _, last = (self.HostPort or "").partition("-")
        return range(_number(first), _number(last) + 1) if _number(first) else range(0)


class InspectedHostConfig(msgspec.Struct, frozen=True):
    PortBindings: dict[str, tuple[Binding, ...] | None] | None = None  # by "80/tcp"
    NetworkMode: str = ""
    PublishAllPorts: bool = False
    AutoRemove: bool = False
    Binds: tuple[str, ...] | None = None


class InspectedContainer(msgspec.Struct, frozen=True):
    """The fields of GET /containers/ID/json that say what was asked for at create, which never
    changes, and the container's name."""

    Id: str = ""
    HostConfig: InspectedHostConfig = InspectedHostConfig()
    Mounts: tuple[Mount, ...] | None = ()
    Name: str = ""

    @property
    def folders(self) -> tuple[str, ...]:
        """The sources of its bind mounts, as paths in the guest."""
        return tuple(mount.Source for mount in self.Mounts or () if mount.Type == "bind")

    @property
    def made(self) -> frozenset[str]:
        """Those of `folders` that dockerd creates at a start where they are missing."""
        return frozenset(bind.partition(":")[0] for bind in self.HostConfig.Binds or ())

    def bindings(self) -> Iterator[tuple[int, str, Binding]]:
        """Container port, protocol, and one binding of it."""
        if self.HostConfig.NetworkMode.startswith(UNPUBLISHED):
            return
        for key, bindings in (self.HostConfig.PortBindings or {}).items():
            port, _, protocol = key.partition("/")
            if _number(port) and protocol in PROTOCOLS:
                yield from ((_number(port), protocol, binding) for binding in bindings or ())

    @property
    def name(self) -> str:
        return self.Name.lstrip("/")

    @property
    def publishes(self) -> bool:
        return self.HostConfig.PublishAllPorts or any(self.bindings())


class Route(msgspec.Struct, frozen=True):
    """A rule of the guest: what arrives at its port goes to `target`, a container's address."""

    protocol: str
    guest_port: int
    target: str


Slot = tuple[str, int, str]
"""What only one container can have on this host: address, port, protocol."""

Default = tuple[str, ...]
"""The addresses of this host for a port that was published without one."""


def _number(port: str) -> int:
    """0 for anything that is not a port number."""
    return int(port) if _PORT.fullmatch(port) and int(port) <= 65535 else 0


def default_addresses(address: str, has_ipv6: bool) -> Default:
    twin = TWINS.get(address)
    return (address, twin) if twin and has_ipv6 else (address,)


def fixed_forwards(asked: InspectedContainer, default: Default) -> list[Forward]:
    """The forwards of ports that are given as numbers."""
    found = (
        _forward(address, binding.port, protocol, binding.HostIp)
        for _, protocol, binding in asked.bindings()
        if binding.port
        for address in ((binding.HostIp,) if binding.HostIp else default)
    )
    return list(dict.fromkeys(found))  # two of its ports may be asked for one of ours


def ports_to_publish(
    containers: Iterable[Container], asked: Mapping[str, InspectedContainer], default: Default
) -> list[PublishedPort]:
    """The ports that `containers` publish now. `asked`: by container id. Some are UNALLOCATED."""
    wanted: dict[tuple[str, Slot], PublishedPort] = {}
    for container in containers:
        its = asked.get(container.Id, InspectedContainer())
        for port in container.Ports or ():
            if not port.PublicPort or port.Type not in PROTOCOLS:
                continue
            for address in _addresses(port, its, default):
                forward = _forward(address, port.PublicPort, port.Type, port.IP)
                found = PublishedPort(container.name, port.PrivatePort, forward)
                wanted[container.name, slot(forward)] = found
        for private, binding, protocol in _left_out(its) if container.gateway_address else ():
            forward = Forward(binding.HostIp, binding.port, UNALLOCATED, protocol)
            found = PublishedPort(container.name, private, forward)
            wanted[container.name, slot(forward)] = found
    return list(wanted.values())


def routes(
    containers: Iterable[Container],
    asked: Mapping[str, InspectedContainer],
    allocated: Iterable[PublishedPort],
) -> frozenset[Route]:
    """The rules that lead ports published on one address to their containers.

    dockerd's own rule for `-p 127.0.0.1:80:80` matches packets to 127.0.0.1, but what the backend
    forwards arrives at the guest's network card, under the guest's address; for `-p [::1]:80:80`
    dockerd has no rule. `allocated`: the ports with their guest ports.
    """
    guest_ports = {
        (port.container, slot(port.forward)): port.forward.guest_port for port in allocated
    }
    found = set()
    for container in containers:
        for port in ports_to_publish([container], asked, ()):
            guest_port = guest_ports.get((container.name, slot(port.forward)))
            if port.forward.guest_port == UNALLOCATED and guest_port and container.gateway_address:
                target = f"{container.gateway_address}:{port.container_port}"
                found.add(Route(port.forward.protocol, guest_port, target))
    return frozenset(found)


def slot(forward: Forward) -> Slot:
    return forward.host_address, forward.host_port, forward.protocol


def _forward(address: str, port: int, protocol: str, asked: str) -> Forward:
    """The guest's port has the same number where dockerd's rule matches every address, else it is
    UNALLOCATED. `asked`: the address that the port was published on."""
    guest_port = port if asked in ("", EVERY_IPV4) else UNALLOCATED
    return Forward(address, port, guest_port, protocol)


def _addresses(port: ContainerPort, asked: InspectedContainer, default: Default) -> tuple[str, ...]:
    if port.IP not in ANY_ADDRESS:
        return (port.IP,)
    for_it = (port.PrivatePort, port.Type)
    given = {each.HostIp for *which, each in asked.bindings() if tuple(which) == for_it}
    if "" in given or not given & {EVERY_IPV4, EVERY_IPV6}:
        return () if port.IP == EVERY_IPV6 else default  # it comes with 0.0.0.0, too
    return (port.IP,) if port.IP in given else ()


def _left_out(asked: InspectedContainer) -> Iterator[tuple[int, Binding, str]]:
    """Container port, binding and protocol of the IPv6 addresses that dockerd does not publish."""
    for private, protocol, binding in asked.bindings():
        if ":" in binding.HostIp and binding.port:
            yield private, binding, protocol
