"""Published ports of swarm services are open on this computer, as containers' ports are."""

import hashlib
import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.galley import IMAGE, SERVE, SOON, Galley
from tests.e2e.test_ports import BOTH, _answers, _is_free, _listed, _taken
from vm.host import net

CREATE = ("service", "create", "--detach", "--no-resolve-image", "--stop-grace-period=0s")
BIG = 8 << 20  # bytes; more than any buffer between client and server
SERVE_BIG = f"busybox head -c {BIG} /dev/zero > /big; {SERVE}"


@pytest.fixture(scope="module")
def swarm(running: Galley) -> Iterator[Galley]:
    running.docker("swarm", "init")
    yield running
    running.docker("swarm", "leave", "--force")


def _big(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    with urllib.request.urlopen(f"http://{host}:{port}/big", timeout=30) as reply:
        return hashlib.sha256(reply.read()).hexdigest()


def test_a_services_ports_open_in_both_modes_and_follow_updates_and_removal(swarm: Galley) -> None:
    first, second, host = (net.free_port() for _ in range(3))
    words = (f"-p={first}:80", f"-p=mode=host,target=80,published={host}")
    swarm.docker(*CREATE, "--name=web", *words, IMAGE, "sh", "-c", SERVE_BIG)
    assert {("web", address, first) for address in BOTH} <= _listed(swarm), (
        "the ports are open when the command returns"
    )
    whole = hashlib.sha256(bytes(BIG)).hexdigest()
    for port in (first, host):
        for address in BOTH:
            swarm.wait_for(partial(_answers, address, port), f"{address} answers")
            assert _big(address, port) == whole
    with _taken() as taken:
        stderr = swarm.docker(*CREATE, f"-p={taken}:80", IMAGE, check=False).stderr.decode()
        assert f"Port {taken}/tcp on 127.0.0.1 is already in use by" in stderr
    changes = ("--publish-rm=80", f"--publish-add={second}:80")
    swarm.docker("service", "update", "--detach", *changes, "web")
    swarm.wait_for(lambda: _answers("::1", second), "the other port answers")
    swarm.wait_for(lambda: _is_free(first), "the previous port is closed", SOON)
    swarm.docker("service", "rm", "web")
    swarm.wait_for(lambda: not _listed(swarm), "no port is listed", SOON)
    assert _is_free(second)
    assert _is_free(host)
