"""Published ports of containers on several networks answer on each address."""

from collections.abc import Iterator

import pytest

from tests.e2e.galley import IMAGE, SERVE, SOON, Galley
from tests.e2e.test_ports import _answers, _listed
from vm.host import net

pytestmark = pytest.mark.usefixtures("no_containers")


@pytest.fixture
def networks(galley: Galley) -> Iterator[tuple[str, ...]]:
    internal, bridges = ("a-back", "z-back"), ("b-front", "c-front")
    for name in internal:
        galley.docker("network", "create", "--internal", name)
    for name in bridges:
        galley.docker("network", "create", name)
    yield (*internal, *bridges)
    galley.docker("rm", "-f", "web", check=False)
    galley.docker("network", "rm", *internal, *bridges)


@pytest.mark.usefixtures("networks")
def test_ports_answer_while_a_container_joins_and_leaves_networks(galley: Galley) -> None:
    one, every, six = ports = [net.free_port() for _ in range(3)]
    published = (f"--publish=127.0.0.1:{one}:80", f"-p{every}:80", f"-p[::1]:{six}:80")
    words = ("--name=web", "--network=a-back", *published)
    galley.docker("create", *words, IMAGE, "sh", "-c", SERVE)
    galley.docker("network", "connect", "c-front", "web")
    galley.docker("start", "web")
    addresses = [("127.0.0.1", one), ("127.0.0.1", every), ("::1", every), ("::1", six)]

    def all_answer(after: str) -> None:
        galley.wait_for(lambda: all(_answers(*each) for each in addresses), f"they answer {after}")

    all_answer("with an internal network first")
    galley.docker("network", "connect", "b-front", "web")
    all_answer("when another network comes first")
    galley.docker("network", "disconnect", "a-back", "web")
    galley.docker("network", "connect", "z-back", "web")
    galley.docker("network", "disconnect", "b-front", "web")
    all_answer("after leaving that network")
    galley.docker("network", "disconnect", "c-front", "web")
    galley.wait_for(lambda: not _listed(galley), "no port is published on internal networks", SOON)
    assert all(net.is_free("127.0.0.1", port) for port in ports)
    galley.docker("network", "connect", "b-front", "web")
    all_answer("with an external network again")
