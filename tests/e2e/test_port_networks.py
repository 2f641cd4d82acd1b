"""Ports of containers on several networks: they answer wherever they are published, as ever."""

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
def test_back_and_front_in_either_order_joined_and_left_while_it_runs(galley: Galley) -> None:
    one, every, six = ports = [net.free_port() for _ in range(3)]
    published = (f"--publish=127.0.0.1:{one}:80", f"-p{every}:80", f"-p[::1]:{six}:80")
    words = ("--name=web", "--network=a-back", *published)
    galley.docker("create", *words, IMAGE, "sh", "-c", SERVE)
    galley.docker("network", "connect", "c-front", "web")
    galley.docker("start", "web")
    there = [("127.0.0.1", one), ("127.0.0.1", every), ("::1", every), ("::1", six)]

    def all_answer(after: str) -> None:
        galley.wait_for(lambda: all(_answers(*each) for each in there), f"they answer {after}")

    all_answer("behind an internal network")
    galley.docker("network", "connect", "b-front", "web")
    all_answer("when another network comes before")
    galley.docker("network", "disconnect", "a-back", "web")
    galley.docker("network", "connect", "z-back", "web")
    galley.docker("network", "disconnect", "b-front", "web")
    all_answer("when that has been left again")
    galley.docker("network", "disconnect", "c-front", "web")
    galley.wait_for(lambda: not _listed(galley), "none is published on an internal one", SOON)
    assert all(net.is_free("127.0.0.1", port) for port in ports)
    galley.docker("network", "connect", "b-front", "web")
    all_answer("with a way out again")
