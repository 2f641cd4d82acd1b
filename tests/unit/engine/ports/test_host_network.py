"""Ports of containers on the host network, from the listening sockets of the guest."""

import pytest

from engine.ports.guest_port_allocator import allocate
from engine.ports.host_network import (
    ListeningSocket,
    is_wanted,
    listening_ports,
    listening_routes,
    read_listener,
    with_listeners,
)
from engine.ports.published_spec import Container, ContainerPort, Network, Networks, Route
from engine.types import PublishedPort
from vm.types import Forward

ID, OTHER = "a" * 64, "b" * 64
LOOPBACK = ("127.0.0.1", "::1")
HOST = Networks({"host": Network("")})
WEB = Container(ID, ("/web",), (), HOST)
DB = Container(OTHER, ("/db",), (), HOST)
BRIDGED = Container("c" * 64, ("/bridged",), (), Networks({"bridge": Network("172.17.0.2")}))


def listener(
    address: str, port: int = 8080, protocol: str = "tcp", of: str = ID
) -> ListeningSocket:
    return ListeningSocket(protocol, port, address, of)


def forwarded(
    *listeners: ListeningSocket, beside: tuple[PublishedPort, ...] = ()
) -> list[PublishedPort]:
    return listening_ports([WEB, DB], listeners, beside, LOOPBACK)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (f"tcp 0.0.0.0 8080 {ID}", listener("0.0.0.0")),
        (f"udp 127.0.0.1 53 {ID}", listener("127.0.0.1", 53, "udp")),
        (f"tcp 0:0:0:0:0:0:0:1 65535 {ID}", listener("::1", 65535)),
    ],
)
def test_a_listener_line_is_parsed(line: str, read: ListeningSocket) -> None:
    assert read_listener(line) == read


@pytest.mark.parametrize(
    "line",
    [
        "",
        "tcp",
        "tcp 0.0.0.0 8080",
        f"sctp 0.0.0.0 8080 {ID}",
        f"tcp 0.0.0.0 0 {ID}",
        f"tcp 0.0.0.0 65536 {ID}",
        f"tcp 0.0.0.0 -1 {ID}",
        f"tcp 0.0.0.0 ٨٠ {ID}",  # not ASCII digits
        f"tcp 0.0.0.0 {'9' * 5000} {ID}",
        f"tcp 127.1 80 {ID}",
        f"tcp 127.0.0.1:80,-jACCEPT 80 {ID}",
        f"tcp fe80::1%eth0 80 {ID}",
        f"udp 239.255.255.250 1900 {ID}",
        f"udp ff02::fb 5353 {ID}",
        f"udp 255.255.255.255 68 {ID}",
        "tcp 0.0.0.0 80 ../../etc",
        f"tcp 0.0.0.0 80 {ID} more",
        f"tcp 0.0.0.0 80 {ID.upper()}",
    ],
)
def test_an_invalid_listener_line_is_ignored(line: str) -> None:
    assert read_listener(line) is None


def test_listeners_are_needed_only_while_a_container_is_on_the_host_network() -> None:
    assert is_wanted([BRIDGED, WEB])
    assert not is_wanted([BRIDGED])


def test_a_listener_is_forwarded_from_loopback_to_the_same_port() -> None:
    assert forwarded(listener("0.0.0.0"), listener("0.0.0.0", 53, "udp")) == [
        PublishedPort("web", port, Forward(address, port, port, protocol), host_network=True)
        for port, protocol in ((8080, "tcp"), (53, "udp"))
        for address in LOOPBACK
    ]


def test_a_listener_on_a_single_address_gets_a_guest_port_and_a_rule() -> None:
    listeners = [listener("127.0.0.1"), listener("172.17.0.1", 81, "udp"), listener("0.0.0.0", 82)]
    ports = allocate(listening_ports([WEB], listeners, [], LOOPBACK), [])
    forwards = {(one.forward.host_address, one.container_port): one.forward for one in ports}
    assert forwards["127.0.0.1", 82].guest_port == 82
    targets = {8080: "127.0.0.1:8080", 81: "172.17.0.1:81"}
    expected = {
        Route(protocol, forwards[address, port].guest_port, targets[port])
        for address in LOOPBACK
        for port, protocol in ((8080, "tcp"), (81, "udp"))
    }
    routes = listening_routes([WEB], listeners, ports)
    assert routes == expected
    assert len(routes) == 4


def test_of_several_listeners_on_one_port_the_most_reachable_is_forwarded() -> None:
    assert forwarded(listener("::1"), listener("127.0.0.1"), listener("0.0.0.0")) == forwarded(
        listener("0.0.0.0")
    )
    (first, _) = forwarded(listener("::1"), listener("127.0.0.1"))
    assert first.problem is None


def test_an_ipv6_only_listener_is_a_problem_and_gets_no_guest_port() -> None:
    ports = allocate(forwarded(listener("::1"), listener("::", 81)), [])
    assert [port.problem is None for port in ports] == [False, False]
    assert [port.forward.host_address for port in ports] == ["::1", "::1"]
    assert "container web" in str(ports[0].problem)
    assert not listening_routes([WEB], [listener("::1")], ports)


def test_a_listener_of_no_running_container_is_ignored() -> None:
    assert forwarded(listener("0.0.0.0", of="d" * 64)) == []


def test_a_published_port_takes_precedence() -> None:
    for address in ("127.0.0.1", "0.0.0.0"):
        theirs = PublishedPort("bridged", 80, Forward(address, 8080, 8080))
        first, second = forwarded(listener("127.0.0.1"), beside=(theirs,))
        assert "by the container bridged" in str(first.problem)
        assert second.problem is None, "the other address is free"
    udp = PublishedPort("bridged", 80, Forward("127.0.0.1", 8080, 8080, "udp"))
    assert forwarded(listener("0.0.0.0"), beside=(udp,)) == forwarded(listener("0.0.0.0"))


def test_two_containers_with_one_port_are_a_problem() -> None:
    ports = allocate(forwarded(listener("127.0.0.1"), listener("0.0.0.0", of=OTHER)), [])
    problems = {(port.container, port.problem is None) for port in ports}
    assert problems == {("db", True), ("web", False)}


def test_the_resource_saver_sees_listeners_as_published_ports() -> None:
    seen = with_listeners([WEB, DB, BRIDGED], [listener("0.0.0.0", 53, "udp")])
    assert [one.publishes for one in seen] == [True, False, False]
    assert seen[0].publishes_udp
    assert seen[0].Ports == (ContainerPort(53, "udp", 53, "0.0.0.0"),)
