"""Published ports, from dockerd's JSON."""

import msgspec
import pytest

from engine.ports.guest_port_allocator import allocate
from engine.ports.published_spec import (
    Binding,
    Container,
    ContainerPort,
    InspectedContainer,
    InspectedHostConfig,
    Mount,
    Network,
    Networks,
    Route,
    TaskLabels,
    default_addresses,
    fixed_forwards,
    ports_to_publish,
    routes,
)
from engine.types import PublishedPort
from vm.types import Forward

LOOPBACK = ("127.0.0.1", "::1")
NETWORKS = Networks({"bridge": Network("172.17.0.2", "172.17.0.1")})


def inspected(
    bindings: dict[str, tuple[Binding, ...] | None], mode: str = "bridge"
) -> InspectedContainer:
    return InspectedContainer("1", InspectedHostConfig(bindings, mode))


def running(*ports: ContainerPort) -> Container:
    return Container("1", ("/web",), ports, NETWORKS)


def on(address: str) -> ContainerPort:
    return ContainerPort(80, "tcp", 8080, address)


WEB = running(
    on("0.0.0.0"),
    on("::"),
    ContainerPort(443, "tcp"),
    ContainerPort(53, "udp", 5353, "0.0.0.0"),
)
LOCAL = running(ContainerPort(80, "tcp", 9090, "127.0.0.1"))


def forwards_of(
    container: Container, spec: InspectedContainer, default: tuple[str, ...] = LOOPBACK
) -> set[Forward]:
    return {port.forward for port in ports_to_publish([container], {"1": spec}, default)}


def test_the_default_address_has_an_ipv6_counterpart_where_ipv6_works() -> None:
    assert default_addresses("127.0.0.1", True) == LOOPBACK
    assert default_addresses("127.0.0.1", False) == ("127.0.0.1",)
    assert default_addresses("0.0.0.0", True) == ("0.0.0.0", "::")
    assert default_addresses("192.0.2.7", True) == ("192.0.2.7",)


def test_a_port_without_an_address_is_published_on_the_default_addresses() -> None:
    wanted = {
        Forward("127.0.0.1", 8080, 8080),
        Forward("::1", 8080, 8080),
        Forward("127.0.0.1", 5353, 5353, "udp"),
        Forward("::1", 5353, 5353, "udp"),
    }
    spec = inspected({"80/tcp": (Binding("", "8080"),), "53/udp": (Binding("", "5353"),)})
    assert forwards_of(WEB, spec) == wanted
    assert forwards_of(WEB, InspectedContainer()) == wanted


def test_a_listed_port_without_an_address_is_published_on_the_default_addresses() -> None:
    assert forwards_of(running(on("")), inspected({"80/tcp": (Binding("", "8080"),)})) == {
        Forward(address, 8080, 8080) for address in LOOPBACK
    }


def test_a_requested_address_is_the_only_one() -> None:
    every = inspected({"80/tcp": (Binding("0.0.0.0", "8080"),)})
    assert forwards_of(running(on("0.0.0.0")), every) == {Forward("0.0.0.0", 8080, 8080)}
    assert forwards_of(LOCAL, inspected({"80/tcp": (Binding("127.0.0.1", "9090"),)})) == {
        Forward("127.0.0.1", 9090, 0)
    }


def test_every_ipv4_address_is_not_every_ipv6_address() -> None:
    """dockerd may list both where only one was requested."""
    both = running(on("0.0.0.0"), on("::"))
    for address in ("0.0.0.0", "::"):
        spec = inspected({"80/tcp": (Binding(address, "8080"),)})
        assert forwards_of(both, spec) == {
            Forward(address, 8080, 8080 if address == "0.0.0.0" else 0)
        }


def test_folders_are_the_sources_of_bind_mounts() -> None:
    mounts = (Mount("bind", "/mnt/a"), Mount("volume", "/var/lib/docker/v"), Mount("bind", "/b"))
    assert InspectedContainer(Mounts=mounts).folders == ("/mnt/a", "/b")
    assert InspectedContainer(Mounts=None).folders == ()


def test_a_range_has_two_ends() -> None:
    assert Binding(HostPort="8000-8010").range == range(8000, 8011)
    for other in ("8000", "8000-", "-8010", "", None):
        assert not Binding(HostPort=other).range


def test_a_container_that_others_are_linked_to_has_its_own_name() -> None:
    linked = Container("1", ("/app/db", "/db"), (on("0.0.0.0"),), NETWORKS)
    assert linked.name == InspectedContainer("1", Name="/db").name
    assert {port.container for port in ports_to_publish([linked], {}, LOOPBACK)} == {"db"}
    assert Container("1").name == "?"


def test_an_ipv6_address_that_dockerd_ignores_is_published() -> None:
    spec = inspected({"80/tcp": (Binding("::1", "8080"),)})
    container = running(ContainerPort(80, "tcp"))
    assert forwards_of(container, spec) == {Forward("::1", 8080, 0)}
    ports = [PublishedPort("web", 80, Forward("::1", 8080, 65535))]
    assert routes([container], {"1": spec}, ports) == {Route("tcp", 65535, "172.17.0.2:80")}


def test_a_port_is_routed_to_the_network_with_a_gateway() -> None:
    networks = {"a": Network("172.18.0.2"), "b": Network("172.19.0.2", "172.19.0.1")}
    both = Container("1", ("/web",), (on("127.0.0.1"),), Networks(networks))
    spec = inspected({"80/tcp": (Binding("127.0.0.1", "8080"), Binding("::1", "8080"))})
    ports = allocate(ports_to_publish([both], {"1": spec}, LOOPBACK), [])
    found = routes([both], {"1": spec}, ports)
    assert {route.target for route in found} == {"172.19.0.2:80"}
    assert {route.guest_port for route in found} == {65535, 65534}


def test_a_container_on_internal_networks_only_publishes_nothing() -> None:
    inside = Container("1", ("/web",), (), Networks({"a": Network("172.18.0.2")}))
    assert not forwards_of(inside, inspected({"80/tcp": (Binding("::1", "8080"),)}))


def test_fixed_forwards_are_known_before_the_start() -> None:
    spec = inspected(
        {
            "80/tcp": (Binding("", "8080"), Binding("192.0.2.7", "81"), Binding("", "")),
            "53/udp": (Binding("", "5353"),),
            "90/tcp": (Binding("", "9000-9010"),),
            "91/sctp": (Binding("", "91"),),
            "92/tcp": None,
        }
    )
    assert fixed_forwards(spec, ("127.0.0.1",)) == [
        Forward("127.0.0.1", 8080, 8080),
        Forward("192.0.2.7", 81, 0),
        Forward("127.0.0.1", 5353, 5353, "udp"),
    ]
    assert spec.publishes


def test_a_container_without_a_network_of_its_own_publishes_nothing() -> None:
    for mode in ("host", "none", "container:abc"):
        spec = inspected({"80/tcp": (Binding("", "8080"),)}, mode)
        assert fixed_forwards(spec, LOOPBACK) == []
        assert not spec.publishes


def test_only_ports_with_an_address_get_a_route_in_the_guest() -> None:
    ports = allocate(ports_to_publish([WEB, LOCAL], {}, LOOPBACK), [])
    assert not routes([WEB], {}, ports)
    assert routes([WEB, LOCAL], {}, ports) == {Route("tcp", 65535, "172.17.0.2:80")}


def test_no_route_if_dockerd_has_a_rule_or_the_container_has_no_address() -> None:
    everywhere, spec = running(on("0.0.0.0")), inspected({"80/tcp": (Binding("0.0.0.0", "8080"),)})
    ports = ports_to_publish([everywhere], {"1": spec}, ())
    assert [port.forward for port in ports] == [Forward("0.0.0.0", 8080, 8080)]
    assert not routes([everywhere], {"1": spec}, ports)
    assert not routes([LOCAL], {}, []), "no guest port is allocated"
    inside = Container("1", ("/web",), LOCAL.Ports, Networks({"a": Network("172.18.0.2")}))
    ports = allocate(ports_to_publish([inside], {}, ()), [])
    assert [port.forward.guest_port for port in ports] == [65535]
    assert not routes([inside], {}, ports), "the container has no address"


def test_one_port_on_two_addresses_is_routed_to_two_containers() -> None:
    one = Container("1", ("/one",), (on("127.0.0.1"),), NETWORKS)
    other = Networks({"bridge": Network("172.17.0.3", "172.17.0.1")})
    two = Container("2", ("/two",), (on("127.0.0.2"),), other)
    ports = allocate(ports_to_publish([one, two], {}, LOOPBACK), [])
    found = routes([one, two], {}, ports)
    assert len({route.guest_port for route in found}) == 2
    assert {route.target for route in found} == {"172.17.0.2:80", "172.17.0.3:80"}


# JSON as dockerd writes it

LISTED = b"""[{"Id": "abc", "Names": ["/app/db", "/db"], "State": "running",
 "Ports": [{"IP": "fe80::1%eth0", "PrivatePort": 53, "PublicPort": 65535, "Type": "udp"},
           {"PrivatePort": 0, "Type": "tcp"}],
 "NetworkSettings": {"Networks": {"host": {"IPAddress": "172.17.0.2", "Gateway": "172.17.0.1",
   "IPv6Gateway": "fd00::1", "GwPriority": 7}, "none": {"IPAddress": ""}}},
 "Mounts": [{"Type": "bind", "Source": "/a"}],
 "Labels": {"com.docker.swarm.service.id": "s1", "x": "y"}}, {"Labels": {}}, {}]"""


def test_a_list_of_containers_is_decoded() -> None:
    container, other, empty = msgspec.json.decode(LISTED, type=tuple[Container, ...])
    assert container == Container(
        Id="abc",
        Names=("/app/db", "/db"),
        Ports=(ContainerPort(53, "udp", 65535, "fe80::1%eth0"), ContainerPort(0, "tcp", 0, "")),
        NetworkSettings=Networks(
            {
                "host": Network("172.17.0.2", "172.17.0.1", "fd00::1", 7),
                "none": Network("", "", "", 0),
            }
        ),
        Mounts=(Mount("bind", "/a"),),
        State="running",
        Labels=TaskLabels("s1"),
    )
    assert (container.name, container.addresses) == ("db", ("172.17.0.2",))
    assert container.is_task
    assert container.is_on_host_network
    assert container.publishes
    assert container.publishes_udp
    assert not other.is_task
    assert other.Labels == TaskLabels("")
    assert empty == Container("", (), (), Networks({}), (), "", None)
    assert not empty.is_task
    assert not empty.is_on_host_network
    assert msgspec.json.decode(b'{"Networks": {"a": {}}}', type=Networks).Networks == {
        "a": Network("", "", "", 0)
    }
    assert msgspec.json.decode(b"{}", type=Mount) == Mount("", "")


def test_a_container_publishes_tcp_or_udp_only_with_a_public_port() -> None:
    tcp, udp = ContainerPort(80, "tcp", 8080), ContainerPort(53, "udp", 5353)
    for ports, publishes, publishes_udp in (
        ((tcp, udp), True, True),
        ((tcp,), True, False),
        ((ContainerPort(53, "udp"), tcp), True, False),
        ((ContainerPort(53, "udp"),), False, False),
        ((), False, False),
        (None, False, False),
    ):
        container = Container(Ports=ports)
        assert (container.publishes, container.publishes_udp) == (publishes, publishes_udp)


INSPECTED = b"""{"Id": "abc", "Name": "/web", "HostConfig": {"NetworkMode": "bridge",
 "PortBindings": {"80/tcp": [{"HostIp": "::1", "HostPort": "8080"}, {}], "81/tcp": null},
 "PublishAllPorts": true, "AutoRemove": true, "Binds": ["/a:/x", "/b:/y:ro"]},
 "Mounts": [{"Type": "bind", "Source": "/a"}]}"""


def test_an_inspected_container_is_decoded() -> None:
    spec, empty = (
        msgspec.json.decode(text, type=InspectedContainer) for text in (INSPECTED, b"{}")
    )
    bindings: dict[str, tuple[Binding, ...] | None] = {
        "80/tcp": (Binding("::1", "8080"), Binding("", "")),
        "81/tcp": None,
    }
    publishing = InspectedHostConfig(bindings, "bridge", True, True, ("/a:/x", "/b:/y:ro"))
    assert spec == InspectedContainer("abc", publishing, (Mount("bind", "/a"),), "/web")
    assert (spec.name, spec.folders, spec.made) == ("web", ("/a",), frozenset({"/a", "/b"}))
    assert spec.publishes
    assert empty == InspectedContainer(
        "", InspectedHostConfig(None, "", False, False, None), (), ""
    )
    assert (empty.name, empty.folders, empty.made) == ("", (), frozenset())
    assert not empty.publishes
    assert InspectedContainer(HostConfig=InspectedHostConfig(PublishAllPorts=True)).publishes


@pytest.mark.parametrize(
    "port",
    [
        '{"PrivatePort": -1, "Type": "tcp"}',
        '{"PrivatePort": 65536, "Type": "tcp"}',
        '{"PrivatePort": 80, "PublicPort": 65536, "Type": "tcp"}',
        '{"PrivatePort": 80, "Type": "tcp", "IP": "127.0.0.1,x"}',
        '{"PrivatePort": 80, "Type": "tcp", "IP": "::1%a,b"}',
        '{"PrivatePort": 80, "Type": "tcp", "IP": "::1\\n"}',
        '{"PrivatePort": 80}',
    ],
)
def test_an_invalid_port_or_address_is_refused(port: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"Ports": [{port}]}}'.encode(), type=Container)
    if "IP" in port:
        address = port.partition('"IP": ')[2]
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(f'{{"HostIp": {address}'.encode(), type=Binding)


def test_the_gateway_network_is_chosen_in_dockerds_order() -> None:
    """Dual-stack first, then the priority, then the name."""
    dual = Network("1", "g", "g6", 0)
    high, low = Network("2", "g", "", 5), Network("3", "g", "", -5)
    inside = Network("4", "", "g6", 9)
    for networks, address in (
        ({"a": high, "b": dual}, "1"),
        ({"a": low, "b": high}, "2"),
        ({"b": high, "a": Network("5", "g", "", 5)}, "5"),
        ({"a": inside, "b": low}, "3"),
        ({"a": inside}, ""),
        ({}, ""),
    ):
        assert Container(NetworkSettings=Networks(networks)).gateway_address == address


def test_a_port_is_a_number_of_five_digits_at_most() -> None:
    for text, port in (
        ("1", 1), ("65535", 65535), ("00080", 80),
        ("0", 0), ("65536", 0), ("000080", 0), ("-1", 0), ("+80", 0), ("8 0", 0), ("", 0),
        ("\u0664", 0),
    ):  # fmt: skip
        assert Binding(HostPort=text).port == port
    assert Binding(HostPort=None).port == 0
    assert Binding(HostPort="1-1").range == range(1, 2)
