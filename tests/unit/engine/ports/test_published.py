"""How the host's ports are brought to what is wanted, and kept for who is about to start."""

import pytest

from engine.ports.published import PublishedPorts
from engine.types import PublishedPort
from vm.errors import PortInUse
from vm.types import Forward

WEB = Forward("127.0.0.1", 8080, 8080)
DNS = Forward("127.0.0.1", 5353, 5353, "udp")


class Carrier:
    """A backend that carries what it is told, but for the busy ports."""

    def __init__(self, *busy: int) -> None:
        self.carried: set[Forward] = set()
        self.busy = set(busy)

    def forward(self, forward: Forward) -> None:
        if forward.host_port in self.busy:
            raise PortInUse(f"Port {forward.host_port} is taken by qemu.")
        self.carried.add(forward)

    def unforward(self, forward: Forward) -> None:
        self.carried.discard(forward)

    def forwarded(self) -> frozenset[Forward]:
        return frozenset(self.carried)

    def forget(self) -> None:
        self.carried.clear()


def published(*forwards: Forward) -> list[PublishedPort]:
    return [PublishedPort("web", forward.guest_port, forward) for forward in forwards]


def test_sync_opens_closes_and_tells() -> None:
    changes: list[int] = []
    carrier = Carrier()
    carrier.carried.add(Forward("127.0.0.1", 7, 7))
    ports = PublishedPorts(carrier, lambda: changes.append(1))
    ports.sync(published(WEB, DNS))
    assert carrier.carried == {WEB, DNS}
    assert len(changes) == 1
    ports.sync(published(WEB, DNS))
    assert len(changes) == 1
    ports.sync([])
    assert carrier.carried == set()
    assert ports.ports == ()


def test_a_taken_port_is_told_and_tried_again() -> None:
    carrier = Carrier(8080)
    ports = PublishedPorts(carrier, lambda: None)
    ports.sync(published(WEB, DNS))
    problems = {port.forward: port.problem for port in ports.ports}
    assert problems[WEB] is not None
    assert problems[DNS] is None
    carrier.busy.clear()
    ports.sync(published(WEB, DNS))
    assert all(port.problem is None for port in ports.ports)


def test_what_is_reserved_outlives_a_sync_until_it_is_released() -> None:
    carrier = Carrier()
    ports = PublishedPorts(carrier, lambda: None)
    ports.reserve([WEB])
    ports.reserve([WEB])
    ports.sync([])
    assert carrier.carried == {WEB}
    ports.release([WEB])
    ports.sync([])
    assert carrier.carried == {WEB}, "two asked for it"
    ports.release([WEB])
    ports.sync([])
    assert carrier.carried == set()


def test_a_reservation_is_whole_or_none() -> None:
    carrier = Carrier(5353)
    ports = PublishedPorts(carrier, lambda: None)
    with pytest.raises(PortInUse, match="5353 is taken by qemu"):
        ports.reserve([WEB, DNS])
    assert carrier.carried == set()


def test_a_port_of_another_container_is_told_by_its_name() -> None:
    carrier = Carrier()
    ports = PublishedPorts(carrier, lambda: None)
    ports.sync(published(WEB))
    carrier.busy.add(8080)
    with pytest.raises(PortInUse, match="by the container web"):
        ports.reserve([Forward("0.0.0.0", 8080, 8080)])


def test_with_the_machine_everything_is_forgotten() -> None:
    carrier = Carrier()
    ports = PublishedPorts(carrier, lambda: None)
    ports.sync(published(WEB))
    ports.reserve([DNS])
    ports.forget()
    assert ports.ports == ()
    assert carrier.carried == set()


def test_who_has_a_port_or_is_about_to_get_it() -> None:
    ports = PublishedPorts(Carrier(), lambda: None)
    ports.sync(published(WEB))
    ports.reserve([DNS])
    assert ports.held() == {("tcp", 8080), ("udp", 5353)}
    ports.release([DNS])
    assert ports.held() == {("tcp", 8080)}
