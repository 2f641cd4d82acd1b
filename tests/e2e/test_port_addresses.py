"""Ports published on one address of this computer or on all; each leads to its own container."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.galley import IMAGE, Galley
from vm.host import net

pytestmark = pytest.mark.usefixtures("no_containers")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An address of this computer that the machine does not have, like one in a LAN."""
    words = ("198.51.100.1/32", "dev", "lo")
    subprocess.run(("ip", "address", "add", *words), check=True)
    yield "198.51.100.1"
    subprocess.run(("ip", "address", "del", *words), check=True)


def _url(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _serve(galley: Galley, name: str, address: str, port: int) -> None:
    """Runs a container that serves its name at this address."""
    serve = f"echo {name} > /index.html; exec busybox httpd -f -p 80 -h /"
    words = ("run", "-d", "--name", name, "-p", f"{_url(address, port)}:80", IMAGE)
    galley.docker(*words, "sh", "-c", serve)


def _name_served(address: str, port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://{_url(address, port)}/", timeout=10) as reply:
            return str(reply.read().decode().strip())
    except OSError:
        return ""


def _refused(galley: Galley, address: str, port: int) -> str:
    words = ("run", "-p", f"{_url(address, port)}:80", IMAGE, "true")
    done = galley.docker(*words, check=False)
    assert done.returncode != 0
    return done.stderr.decode()


def _listed(galley: Galley) -> set[tuple[str, str, int]]:
    rows = json.loads(galley.run("ports", "--json").stdout)
    return {
        (row["container"], row["forward"]["host_address"], row["forward"]["host_port"])
        for row in rows
    }


def test_a_port_on_a_lan_address_of_this_computer(galley: Galley, port: int, address: str) -> None:
    _serve(galley, "lan", address, port)
    galley.wait_for(lambda: _name_served(address, port) == "lan", "the port answers")
    assert _listed(galley) == {("lan", address, port)}
    assert net.is_free("127.0.0.1", port)
    stderr = _refused(galley, "198.51.100.9", port)
    assert "Check that the address belongs to this computer" in stderr


@pytest.mark.parametrize("every", ["0.0.0.0", "::"])
def test_a_port_on_every_address(galley: Galley, port: int, every: str, address: str) -> None:
    _serve(galley, "every", every, port)
    assert _listed(galley) == {("every", every, port)}
    found = ("::1",) if every == "::" else ("127.0.0.1", address)
    galley.wait_for(
        lambda: {_name_served(one, port) for one in found} == {"every"}, "it answers on each"
    )


def test_containers_can_share_a_port_on_different_addresses(galley: Galley, port: int) -> None:
    """As with a native dockerd; also after a restart of a container and of the supervisor."""
    containers = {"one": "127.0.0.1", "two": "127.0.0.2", "six": "::1"}
    for name, address in containers.items():
        _serve(galley, name, address, port)

    def each_serves_its_name() -> bool:
        return all(_name_served(address, port) == name for name, address in containers.items())

    galley.wait_for(each_serves_its_name, "each serves its own name")
    stderr = _refused(galley, "::1", port)
    assert f"Port {port}/tcp on ::1 is already published by the container six." in stderr
    galley.docker("restart", "-t", "0", "two")
    os.kill(galley.supervisor_identity().pid, signal.SIGKILL)
    galley.start()
    galley.wait_for(each_serves_its_name, "each serves its own name again")
