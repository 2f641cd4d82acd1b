"""Networks, against a real dockerd."""

from collections.abc import Iterator

import msgspec
import pytest

from engine.docker.client import DockerClient
from engine.docker.networks import Networks
from engine.docker.types import Network
from tests.unit.engine.bridge.servers import wait_until
from tests.unit.engine.docker.conftest import sleeper
from vm.errors import EngineRefused, ObjectConflict, ObjectGone


@pytest.fixture
def networks(client: DockerClient) -> Iterator[Networks]:
    made = client.networks
    yield made
    for container in client.containers.list():
        client.containers.remove(container.id, force=True)
    for network in made.list():
        if not network.is_builtin:
            made.remove(network.id)


def _only(networks: Networks, name: str) -> Network:
    (found,) = (network for network in networks.list() if network.name == name)
    return found


def _addresses(networks: Networks, name: str) -> set[tuple[str, str]]:
    return {(each.container, each.address) for each in _only(networks, name).attached}


def test_the_built_in_networks_are_listed(networks: Networks) -> None:
    found = {network.name: network for network in networks.list()}
    assert set(found) == {"bridge", "host", "none"}
    assert all(network.is_builtin for network in found.values())
    assert found["bridge"].driver == "bridge"


def test_create_list_remove(networks: Networks) -> None:
    networks.create("net", subnet="10.77.0.0/24", gateway="10.77.0.9", internal=True)
    made = _only(networks, "net")
    assert (made.subnets, made.gateway, made.internal) == (("10.77.0.0/24",), "10.77.0.9", True)
    assert made.created > 1_500_000_000
    assert msgspec.json.decode(networks.inspect("net"))["Id"] == made.id
    networks.remove("net")
    with pytest.raises(ObjectGone):
        networks.remove("net")


def test_conflicting_and_invalid_networks_are_refused(networks: Networks) -> None:
    networks.create("net", subnet="10.77.0.0/24")
    with pytest.raises(ObjectConflict):
        networks.create("net")
    with pytest.raises(EngineRefused):
        networks.create("overlapping", subnet="10.77.0.0/25")
    with pytest.raises(EngineRefused):
        networks.create("nonsense", subnet="10.77.0.0/99")


def test_attached_containers_are_listed_with_their_addresses(
    networks: Networks, client: DockerClient
) -> None:
    networks.create("net", subnet="10.77.0.0/24")
    running = client.containers.run(sleeper("running", network="net"))
    other = client.containers.run(sleeper("other"))
    networks.connect("net", other, aliases=("alias",), address="10.77.0.50")
    attached = {each.container: each for each in _only(networks, "net").attached}
    assert set(attached) == {"running", "other"}
    assert attached["running"].container_id == running
    assert attached["running"].address.startswith("10.77.0.")
    assert attached["other"].address == "10.77.0.50"
    client.containers.stop(running)
    wait_until(lambda: ("running", "") in _addresses(networks, "net"))
    networks.disconnect("net", other)
    assert [each.container for each in _only(networks, "net").attached] == ["running"]
    assert [each.container for each in _only(networks, "bridge").attached] == ["other"]


def test_a_network_in_use_is_not_removed(networks: Networks, client: DockerClient) -> None:
    networks.create("net")
    client.containers.run(sleeper("running", network="net"))
    with pytest.raises(EngineRefused) as raised:
        networks.remove("net")
    assert raised.value.hint


def test_prune(networks: Networks, client: DockerClient) -> None:
    networks.create("used")
    networks.create("unused")
    client.containers.run(sleeper("running", network="used"))
    assert networks.prune().names == ("unused",)
    assert {network.name for network in networks.list()} == {"bridge", "host", "none", "used"}
