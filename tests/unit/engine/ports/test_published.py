"""Opening and closing ports, and reservations before a start."""

import pytest

from engine.ports import guest_port_allocator, reserved_ports
from engine.ports.published import PublishedPorts
from engine.types import PublishedPort
from vm.errors import BackendFailed, PortInUse
from vm.messages import Message
from vm.types import Forward

WEB = Forward("127.0.0.1", 8080, 8080)
DNS = Forward("127.0.0.1", 5353, 5353, "udp")


class FakeForwarder:
    """Forwards every port except the busy ones."""

    def __init__(self, *busy: int) -> None:
        self.carried: set[Forward] = set()
        self.busy = set(busy)

    def forward(self, forward: Forward) -> None:
        if forward.host_port in self.busy:
            raise PortInUse(Message("", f"Port {forward.host_port} is taken by qemu."))
        assert forward not in self.carried, "each port is forwarded once"
        self.carried.add(forward)

    def unforward(self, forward: Forward) -> None:
        self.carried.discard(forward)

    def forwarded(self) -> frozenset[Forward]:
        return frozenset(self.carried)

    def forget(self) -> None:
        self.carried.clear()


def published(*forwards: Forward) -> list[PublishedPort]:
    return [PublishedPort("web", forward.guest_port, forward) for forward in forwards]


def test_sync_opens_and_closes_ports_and_reports_changes() -> None:
    changes: list[int] = []
    forwarder = FakeForwarder()
    forwarder.carried.add(Forward("127.0.0.1", 7, 7))
    ports = PublishedPorts(forwarder, lambda: changes.append(1))
    ports.sync(published(WEB, DNS))
    assert forwarder.carried == {WEB, DNS}
    assert len(changes) == 1
    ports.sync(published(WEB, DNS))
    assert len(changes) == 1
    ports.sync([])
    assert forwarder.carried == set()
    assert ports.ports == ()


def test_a_port_in_use_is_a_problem_and_is_retried() -> None:
    forwarder = FakeForwarder(8080)
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB, DNS))
    problems = {port.forward: port.problem for port in ports.ports}
    assert problems[WEB] is not None
    assert problems[DNS] is None
    forwarder.busy.clear()
    ports.sync(published(WEB, DNS))
    assert all(port.problem is None for port in ports.ports)


def test_a_reserved_port_stays_open_until_it_is_released() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.reserve("new", [WEB])
    ports.reserve("new", [WEB])
    ports.sync([])
    assert forwarder.carried == {WEB}
    ports.release([WEB])
    ports.sync([])
    assert forwarder.carried == {WEB}, "it was reserved twice"
    ports.release([WEB])
    ports.sync([])
    assert forwarder.carried == set()


def test_a_reservation_is_atomic() -> None:
    forwarder = FakeForwarder(5353)
    ports = PublishedPorts(forwarder, lambda: None)
    with pytest.raises(PortInUse, match="5353 is taken by qemu"):
        ports.reserve("new", [WEB, DNS])
    assert forwarder.carried == set()


def test_the_error_names_the_container_that_has_the_port() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB))
    forwarder.busy.add(8080)
    with pytest.raises(PortInUse, match="by the container web"):
        ports.reserve("new", [Forward("0.0.0.0", 8080, 8080)])


def test_a_port_of_another_program_is_not_attributed_to_a_container() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB))
    forwarder.busy.add(8080)
    with pytest.raises(PortInUse, match="taken by qemu"):
        ports.reserve("new", [Forward("127.0.0.2", 8080, 0)])


def test_each_address_gets_its_own_guest_port_and_keeps_it() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    one, two = Forward("127.0.0.2", 8080, 0), Forward("::1", 8080, 0)
    (first,) = ports.reserve("first", [one])
    (second,) = ports.reserve("second", [two])
    guest_ports = {first.guest_port, second.guest_port}
    assert len(guest_ports) == 2
    assert not guest_ports & {0, 8080}
    wanted = [PublishedPort("first", 80, one), PublishedPort("second", 80, two)]
    ports.sync(wanted)
    assert {port.forward for port in ports.ports} == {first, second} == forwarder.carried
    ports.release([first, second])
    other = PublishedPorts(forwarder, lambda: None)  # of the next supervisor
    other.sync(wanted)
    assert {port.forward for port in other.ports} == {first, second} == forwarder.carried


def test_an_allocated_guest_port_moves_if_a_container_publishes_that_port() -> None:
    """The published port cannot move: dockerd's own rule is for that number."""
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    local = PublishedPort("local", 80, Forward("127.0.0.2", 8080, 0))
    ports.sync([local])
    (allocated,) = forwarder.carried
    every = Forward("127.0.0.1", allocated.guest_port, allocated.guest_port)
    ports.sync([local, PublishedPort("every", 80, every)])
    moved = next(port.forward for port in ports.ports if port.container == "local")
    assert moved.guest_port != every.guest_port
    assert forwarder.carried == {moved, every}


def test_a_long_range_on_one_address_gets_guest_ports() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    requested = [Forward("192.168.1.5", port, 0, "udp") for port in range(10000, 15001)]
    reserved = ports.reserve("media", requested)
    guest_ports = {forward.guest_port for forward in reserved}
    assert len(guest_ports) == len(requested)
    assert not guest_ports & ({0, 61053} | set(reserved_ports.ANY)), "used by the guest"
    ports.sync([PublishedPort("media", port.host_port, port) for port in requested])
    assert {port.forward for port in ports.ports} == set(reserved)


def test_a_port_without_a_free_guest_port_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        guest_port_allocator, "ALLOCATABLE", range(61054, 61051, -1)
    )  # the guest uses 61053 itself
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    requested = [Forward("::1", port, 0) for port in (1, 2, 3)]
    with pytest.raises(PortInUse, match="no port left for port 3/tcp on ::1"):
        ports.reserve("new", requested)
    assert forwarder.carried == set()
    ports.sync([PublishedPort("web", 80, forward) for forward in requested])
    assert [port.problem is None for port in ports.ports] == [True, True, False]
    assert {forward.guest_port for forward in forwarder.carried} == {61054, 61052}
    ports.reserve("new", [Forward("::1", 3, 0, "udp")])  # no UDP port is allocated yet


def test_a_second_container_with_the_same_ipv6_port_is_refused() -> None:
    """dockerd ignores IPv6 addresses and would start both."""
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync([PublishedPort("first", 80, Forward("::1", 8080, 8080))])
    for forward in (Forward("::1", 8080, 8080), Forward("::1", 8080, 0)):
        with pytest.raises(PortInUse, match=r"8080/tcp on ::1 is already .* container first"):
            ports.reserve("second", [forward])
    ports.release(ports.reserve("first", [Forward("::1", 8080, 8080)]))  # its own restart


def test_of_two_containers_with_one_port_one_has_a_problem() -> None:
    ports = PublishedPorts(FakeForwarder(), lambda: None)
    twice = [PublishedPort(name, 80, Forward("::1", 8080, 0)) for name in ("first", "second")]
    ports.sync(twice)
    problems = {port.container: port.problem for port in ports.ports}
    assert problems["first"] is None
    assert problems["second"] is not None
    assert "by the container first" in problems["second"].summary


def test_a_forward_left_by_an_ended_container_is_replaced() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync([PublishedPort("local", 80, Forward("127.0.0.1", 8080, 0))])
    (left,) = forwarder.carried
    ports._ports = ()  # the container has ended
    assert ports.reserve("every", [WEB]) == [WEB]
    assert forwarder.carried == {WEB}
    assert left != WEB


def test_a_reservation_leaves_the_ports_of_others_open() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB))
    ports.reserve("db", [DNS])
    assert forwarder.carried == {WEB, DNS}
    ports.reserve("six", [Forward("::1", 8080, 0)])
    assert {WEB, DNS} < forwarder.carried, "the same number on another address is another port"


def test_the_forwarders_error_is_passed_on_and_opens_nothing() -> None:
    more, every = Forward("127.0.0.1", 9090, 9090), Forward("0.0.0.0", 8080, 8080)

    class Broken(FakeForwarder):
        def forward(self, forward: Forward) -> None:
            if forward == every:
                raise BackendFailed(Message("", "QEMU does not answer."))
            super().forward(forward)

    forwarder = Broken()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB))
    with pytest.raises(BackendFailed, match=r"QEMU does not answer\."):
        ports.reserve("db", [more, every])
    assert forwarder.carried == {WEB}
    assert ports.held() == {("tcp", 8080)}


def test_a_container_that_starts_again_keeps_its_ports() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB))
    ports.release(ports.reserve("web", [WEB]))
    assert forwarder.carried == {WEB}


def test_a_port_that_another_start_has_reserved_is_not_closed() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    (first,) = ports.reserve("one", [Forward("::1", 8080, 0)])
    ports.reserve("two", [Forward("::1", 8080, 8080)])
    assert first in forwarder.carried


@pytest.mark.parametrize(
    ("held", "requested"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::", "::1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_error_for_a_port_of_a_container_names_the_container(held: str, requested: str) -> None:
    """The operating system's error would name QEMU only."""
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(Forward(held, 8080, 8080)))
    forwarder.busy.add(8080)
    with pytest.raises(PortInUse, match="already published by the container web"):
        ports.reserve("new", [DNS, Forward(requested, 8080, 8081)])


@pytest.mark.parametrize(
    "held", [Forward("127.0.0.2", 8080, 0), Forward("127.0.0.1", 8081, 8081), DNS]
)
def test_the_error_for_a_port_of_a_program_names_the_program(held: Forward) -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(held))
    forwarder.busy.add(8080)
    with pytest.raises(PortInUse, match="taken by qemu"):
        ports.reserve("new", [WEB])


def test_a_port_that_could_not_be_opened_has_no_owner() -> None:
    forwarder = FakeForwarder(8080)
    ports = PublishedPorts(forwarder, lambda: None)
    ports.sync(published(WEB))
    with pytest.raises(PortInUse, match="taken by qemu"):
        ports.reserve("new", [WEB])


def test_forget_closes_ports_and_drops_reservations() -> None:
    changes: list[int] = []
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: changes.append(1))
    ports.sync(published(WEB))
    ports.reserve("new", [DNS])
    ports.forget()
    assert ports.ports == ()
    assert forwarder.carried == set()
    assert ports.held() == frozenset()
    assert len(changes) == 2, "forget reports one change"
    ports.forget()
    assert len(changes) == 2
    forwarder.carried.add(DNS)  # left by an adopted machine
    ports.sync([])
    assert forwarder.carried == set(), "nothing is reserved any more"


def test_held_lists_open_and_reserved_ports() -> None:
    ports = PublishedPorts(FakeForwarder(), lambda: None)
    ports.sync(published(WEB))
    ports.reserve("new", [DNS])
    assert ports.held() == {("tcp", 8080), ("udp", 5353)}
    ports.release([DNS])
    assert ports.held() == {("tcp", 8080)}


def test_a_published_port_replaces_a_host_network_port() -> None:
    """Both for the same forward and for two that cannot be open at once."""
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    listening = [
        PublishedPort("host", forward.host_port, forward, host_network=True)
        for forward in (WEB, DNS)
    ]
    ports.sync(listening)
    ports.reserve("new", [WEB])
    assert forwarder.carried == {WEB, DNS}
    everywhere = Forward("0.0.0.0", 5353, 5353, "udp")
    ports.reserve("other", [everywhere])
    assert forwarder.carried == {WEB, everywhere}
    ports.release([WEB, everywhere])
    ports.sync(listening)
    assert forwarder.carried == {WEB, DNS}, "the containers did not start"


def test_a_port_reserved_twice_stays_until_both_are_released() -> None:
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    first, second = (ports.reserve("web", [WEB]) for _ in range(2))
    ports.release(first)
    ports.sync([])
    assert forwarder.carried == {WEB}
    ports.release(second)
    ports.sync([])
    assert forwarder.carried == set()
