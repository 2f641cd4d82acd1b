"""What is published, and how the host's ports are brought to it."""

from engine.forwards import (
    Container,
    ContainerPort,
    Network,
    Networks,
    PublishedPorts,
    routes,
    wanted_ports,
)
from vm.errors import PortInUse
from vm.types import Forward


def _container(name: str, *ports: ContainerPort) -> Container:
    networks = Networks({"bridge": Network("172.17.0.2")})
    return Container((f"/{name}",), ports, networks)


WEB = _container(
    "web",
    ContainerPort(80, "tcp", 8080, "0.0.0.0"),
    ContainerPort(80, "tcp", 8080, "::"),
    ContainerPort(443, "tcp"),
    ContainerPort(53, "udp", 5353, "0.0.0.0"),
)
LOCAL = _container("local", ContainerPort(80, "tcp", 9090, "127.0.0.1"))


class Carrier:
    """A backend that carries what it is told, but for the busy ports."""

    def __init__(self, *busy: int) -> None:
        self.carried: set[Forward] = set()
        self.busy = set(busy)

    def forward(self, forward: Forward) -> None:
        if forward.host_port in self.busy:
            raise PortInUse(f"Port {forward.host_port} is taken.")
        self.carried.add(forward)

    def unforward(self, forward: Forward) -> None:
        self.carried.discard(forward)

    def forwarded(self) -> frozenset[Forward]:
        return frozenset(self.carried)


def test_a_port_is_wanted_once_on_the_default_address() -> None:
    wanted = {port.forward for port in wanted_ports([WEB, LOCAL], "127.0.0.2")}
    assert wanted == {
        Forward("127.0.0.2", 8080, 8080),
        Forward("127.0.0.2", 5353, 5353, "udp"),
        Forward("127.0.0.1", 9090, 9090),
    }


def test_sync_opens_closes_and_tells() -> None:
    changes: list[int] = []
    carrier = Carrier()
    carrier.carried.add(Forward("127.0.0.1", 7, 7))
    ports = PublishedPorts(carrier, lambda: changes.append(1))
    ports.sync(wanted_ports([WEB], "127.0.0.1"))
    assert carrier.carried == {port.forward for port in ports.ports}
    assert len(changes) == 1
    ports.sync(wanted_ports([WEB], "127.0.0.1"))
    assert len(changes) == 1
    ports.sync([])
    assert carrier.carried == set()
    assert ports.ports == ()


def test_a_taken_port_is_told_and_tried_again() -> None:
    carrier = Carrier(8080)
    ports = PublishedPorts(carrier, lambda: None)
    ports.sync(wanted_ports([WEB], "127.0.0.1"))
    problems = {port.forward.host_port: port.problem for port in ports.ports}
    assert problems[8080] is not None
    assert problems[5353] is None
    carrier.busy.clear()
    ports.sync(wanted_ports([WEB], "127.0.0.1"))
    assert all(port.problem is None for port in ports.ports)


def test_only_ports_with_an_address_are_led_in_the_guest() -> None:
    assert b"-A GALLEY" not in routes([WEB])
    rules = routes([WEB, LOCAL]).decode().splitlines()
    assert "-A GALLEY -p tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:80" in rules
    assert rules[-1] == "COMMIT"
