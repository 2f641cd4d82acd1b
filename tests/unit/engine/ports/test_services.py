"""Ports of swarm services, from a real swarm of one node: opened, shown, refused."""

from collections.abc import Iterator

import msgspec
import pytest

from engine.ports.published_spec import Container, TaskLabels
from engine.ports.services import Service, Services, service_ports
from tests.unit.engine.bridge.servers import IMAGE, wait_until
from tests.unit.engine.ports.conftest import SERVICE, Publishing, Scene
from vm.errors import EngineUnreachable
from vm.guest.protocol import Stream
from vm.messages import Message
from vm.types import Forward

BOTH = ("127.0.0.1", "::1")
SLEEP = (IMAGE, "sleep", "1000")


@pytest.fixture(scope="module")
def manager(publishing: Publishing) -> Iterator[Publishing]:
    publishing.inside("ip", "link", "add", "eth0", "type", "bridge")
    publishing.inside("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
    publishing.inside("ip", "link", "set", "eth0", "up")
    publishing.run_docker("swarm", "init", "--advertise-addr=192.0.2.1")
    yield publishing
    publishing.run_docker("swarm", "leave", "--force")
    publishing.inside("ip", "link", "delete", "eth0")


@pytest.fixture
def swarm(manager: Publishing, scene: Scene) -> Iterator[Scene]:
    yield scene
    if names := manager.run_docker("service", "ls", "-q").split():
        manager.run_docker("service", "rm", *names)
    tasks = ("ps", "-q", "--filter=label=com.docker.swarm.service.id")
    wait_until(lambda: not manager.run_docker(*tasks), 30)


def service(*ports: dict[str, object], allocated: tuple[dict[str, object], ...] = ()) -> Service:
    spec = {"Name": "web", "EndpointSpec": {"Ports": ports}}
    response = {"Spec": spec, "Endpoint": {"Ports": allocated}}
    return msgspec.json.decode(msgspec.json.encode(response), type=Service)


def port(target: int, published: int = 0, **more: object) -> dict[str, object]:
    left = {"PublishedPort": published} if published else {}
    return {"Protocol": "tcp", "TargetPort": target, "PublishMode": "ingress", **left, **more}


def forwards(one: Service) -> set[Forward]:
    return {each.forward for each in service_ports([one], ("127.0.0.1",))}


def test_ingress_ports_belong_to_the_service() -> None:
    one = service(port(80, 8080), port(53, 5353, Protocol="udp"), port(9, 99, Protocol="sctp"))
    assert service_ports([one], BOTH)[0].container == "web"
    assert {each.service for each in service_ports([one], BOTH)} == {True}
    assert forwards(one) == {
        Forward("127.0.0.1", 8080, 8080),
        Forward("127.0.0.1", 5353, 5353, "udp"),
    }
    assert not forwards(service(port(80, 8080, PublishMode="host"))), (
        "ports in host mode are the container's"
    )


def test_a_port_chosen_by_the_swarm_is_forwarded_once_it_is_allocated() -> None:
    assert not forwards(service(port(80)))
    chosen = service(port(80), port(81, 8081), allocated=(port(80, 30000), port(81, 8081)))
    assert forwards(chosen) == {
        Forward("127.0.0.1", 30000, 30000),
        Forward("127.0.0.1", 8081, 8081),
    }


def test_a_port_removed_by_an_update_closes_before_the_swarm_reallocates() -> None:
    updated = service(port(80, 8082), allocated=(port(80, 8081),))
    assert forwards(updated) == {Forward("127.0.0.1", 8082, 8082)}


def test_ports_follow_a_service_from_create_to_remove(swarm: Scene) -> None:
    host = "mode=host,target=82,published=18602"
    swarm.create_service("--name=web", "-p=18600:80", "-p=81", f"-p={host}", *SLEEP)
    assert {("web", address, 18600) for address in BOTH} <= swarm.open(), "at once"

    def numbers(owner: str) -> set[int]:
        return {number for name, _, number in swarm.open() if name.startswith(owner)}

    wait_until(lambda: numbers("web.1.") == {18602}, 30)
    wait_until(lambda: len(numbers("web") - {18600, 18602}) == 1)
    (chosen,) = numbers("web") - {18600, 18602}
    assert chosen >= 30000
    words = ("--publish-rm=80", "--publish-add=18601:80")
    swarm.docker("service", "update", "--detach", *words, "web")
    wait_until(lambda: 18601 in numbers("web") and 18600 not in numbers("web"), 30)
    wait_until(lambda: numbers("web.1.") == {18602}, 30)
    swarm.docker("service", "rm", "web")
    wait_until(lambda: swarm.open() == set(), 30)
    assert swarm.forwarder.carried == set()


def test_ports_of_a_service_created_without_the_bridge_open(swarm: Scene) -> None:
    swarm.server.run_docker(*SERVICE, "--name=web", "-p=18600:80", *SLEEP)
    wait_until(lambda: swarm.open() == {("web", address, 18600) for address in BOTH}, 30)


def test_a_taken_port_is_refused_before_the_swarm_sees_it(swarm: Scene) -> None:
    swarm.forwarder.busy.add(18601)
    for mode in ("ingress", "host"):
        publish = f"-p=mode={mode},target=80,published=18601"
        output = swarm.docker(*SERVICE, "--name=web", "-p=18600:81", publish, *SLEEP)
        assert "Port 18601 is taken." in output
    assert swarm.server.run_docker("service", "ls", "-q") == ""
    assert swarm.forwarder.carried == set()
    swarm.create_service("--name=web", "-p=18600:81", *SLEEP)
    output = swarm.docker("service", "update", "--detach", "--publish-add=18601:80", "web")
    assert "Port 18601 is taken." in output
    assert {number for _, _, number in swarm.open()} == {18600}


def test_services_and_containers_do_not_get_each_others_ports(swarm: Scene) -> None:
    swarm.docker("run", "-d", "--name=web", "-p=18600:80", *SLEEP)
    output = swarm.docker(*SERVICE, "--name=web", "-p=18600:80", *SLEEP)
    assert "Port 18600/tcp on 127.0.0.1 is already published by the container web." in output
    swarm.create_service("--name=api", "-p=18601:80", *SLEEP)
    for words in (("run", "--rm"), (*SERVICE, "--name=third")):
        output = swarm.docker(*words, "-p=18601:80", *SLEEP)
        assert "Port 18601/tcp on 127.0.0.1 is already published by the service api." in output
    assert swarm.open() == {
        (name, address, number)
        for name, number in (("web", 18600), ("api", 18601))
        for address in BOTH
    }


def test_an_update_keeps_the_ports_of_the_service(swarm: Scene) -> None:
    host = "mode=host,target=82,published=18602"
    swarm.create_service("--name=web", "-p=18600:80", f"-p={host}", *SLEEP)
    both = {("web", 18600), ("web.1.", 18602)}
    wait_until(lambda: {(name[:6], number) for name, _, number in swarm.open()} == both, 30)
    output = swarm.docker("service", "update", "--detach", "--label-add=a=b", "web")
    assert output == "web"


def test_services_are_listed_only_for_a_task_or_an_expected_service() -> None:
    dials = []

    def dial() -> Stream:
        dials.append(1)
        raise EngineUnreachable(Message("", "No engine.", ""))

    services = Services(dial)
    assert services.current([Container(Id="plain", Labels=TaskLabels())]) == ()
    assert dials == []
    services.current([Container(Id="task", Labels=TaskLabels(service="s"))])
    assert len(dials) == 1
    with services.expected():
        services.current([])
    assert len(dials) == 2


def test_a_container_on_an_overlay_network_publishes_on_one_address(swarm: Scene) -> None:
    swarm.docker("network", "create", "--driver=overlay", "--attachable", "over")
    words = ("--network=over", "-p=127.0.0.2:8080:80", "-p=8081:81")
    swarm.docker("run", "-d", "--name=web", *words, *SLEEP)
    assert ("web", "127.0.0.2", 8080) in swarm.open()
    (guest_port,) = (p.forward.guest_port for p in swarm.ports.ports if p.container_port == 80)
    targets = swarm.server.targets()
    assert targets[str(guest_port)] == targets["8080"]
    swarm.docker("rm", "-f", "web")
    wait_until(lambda: swarm.open() == set())
    swarm.docker("network", "rm", "over")
