"""dockerd publishes a container's ports on the network that Galley expects."""

from collections.abc import Iterator
from functools import partial

import pytest

from engine.bridge.unix import connect
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.ports.published_spec import Container, Network, Networks
from tests.unit.engine.bridge.servers import IMAGE, wait_until
from tests.unit.engine.ports.conftest import Publishing
from vm.guest.protocol import Stream

NETWORKS = {
    "a-back": ("--internal",),
    "b-front": (),
    "c-other": (),
    "d-dual": ("--ipv6", "--subnet=fd00:6::/64"),
    "z-back": ("--internal",),
}


@pytest.fixture(scope="module")
def networks(publishing: Publishing) -> Iterator[None]:
    for name, options in NETWORKS.items():
        publishing.run_docker("network", "create", *options, name)
    yield
    publishing.run_docker("network", "rm", *NETWORKS)


class Looks(list[list[Container]]):
    """The container lists that the watch reported, and the number of requests."""

    requests = 0


@pytest.fixture
def looks(publishing: Publishing, networks: None) -> Iterator[Looks]:
    made = Looks()

    def dial() -> Stream:
        made.requests += 1
        return connect(publishing.socket)

    watch = EngineWatch(dial)
    watch.begin(lambda health: None, made.append)
    wait_until(lambda: made == [[]])
    yield made
    publishing.run_docker("rm", "-f", "web")
    wait_until(lambda: made[-1] == [])
    watch.end()


def start(publishing: Publishing, first: str, *others: str) -> None:
    words = ("--name=web", f"--network={first}", "--publish=127.0.0.1:8080:80")
    publishing.run_docker("create", *words, IMAGE, "sleep", "1000")
    for name in others:
        publishing.run_docker("network", "connect", name, "web")
    publishing.run_docker("start", "web")


def agrees(publishing: Publishing, looks: Looks, network: str) -> bool:
    """Galley and dockerd's rule agree on the address, which is on this network."""
    (container,) = looks[-1] or (Container(),)
    expected = container.NetworkSettings.Networks.get(network, Network()).IPAddress
    ours = container.gateway_address
    return expected == ours and publishing.targets() == ({"8080": f"{ours}:80"} if ours else {})


@pytest.mark.parametrize(
    ("joined", "chosen"),
    [
        (("a-back", "b-front"), "b-front"),
        (("b-front", "z-back"), "b-front"),
        (("c-other", "b-front"), "b-front"),
        (("bridge", "b-front"), "b-front"),
        (("bridge", "c-other", "a-back"), "bridge"),
        (("b-front", "d-dual"), "d-dual"),
    ],
)
def test_a_container_on_several_networks_publishes_on_one(
    publishing: Publishing,
    looks: Looks,
    joined: tuple[str, ...],
    chosen: str,
) -> None:
    start(publishing, *joined)
    wait_until(lambda: agrees(publishing, looks, chosen))


def test_networks_joined_and_left_by_a_running_container(
    publishing: Publishing, looks: Looks
) -> None:
    start(publishing, "c-other")
    for action, name, chosen in (
        ("connect", "a-back", "c-other"),
        ("connect", "b-front", "b-front"),
        ("disconnect", "b-front", "c-other"),
        ("disconnect", "c-other", ""),
        ("connect", "b-front", "b-front"),
    ):
        publishing.run_docker("network", action, name, "web")
        wait_until(partial(agrees, publishing, looks, chosen))


def test_a_start_on_several_networks_takes_no_extra_requests(
    publishing: Publishing, looks: Looks
) -> None:
    """Joining a network during the start causes no request of its own."""
    start(publishing, "b-front", "a-back")
    wait_until(lambda: agrees(publishing, looks, "b-front"))
    assert looks.requests == 3  # the events, the containers at first, and the one that has started


def test_the_priority_of_docker_28_precedes_the_name() -> None:
    low = Network("172.18.0.2", "172.18.0.1")
    high = Network("172.19.0.2", "172.19.0.1", GwPriority=1)
    dual = Network("172.20.0.2", "172.20.0.1", "fd00::1")

    def chosen(**networks: Network) -> str:
        return Container(NetworkSettings=Networks(networks)).gateway_address

    assert chosen(a=low, b=high) == high.IPAddress
    assert (
        chosen(a=low, b=high, c=dual) == dual.IPAddress
    )  # dual-stack first, whatever its priority
    assert chosen(a=Network("172.21.0.2"), b=Network()) == ""
