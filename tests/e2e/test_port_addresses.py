"""Ports published on one address of this computer, or on every one; each leads to its container."""

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
    """One that this computer has, as its address in a LAN would be, and the machine has not."""
    words = ("198.51.100.1/32", "dev", "lo")
    subprocess.run(("ip", "address", "add", *words), check=True)
    yield "198.51.100.1"
    subprocess.run(("ip", "address", "del", *words), check=True)


def _url(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _serve(galley: Galley, name: str, address: str, port: int) -> None:
    """A container that says its name there."""
    serve = f"echo {name} > /index.html; exec busybox httpd -f -p 80 -h /"
    words = ("run", "-d", "--name", name, "-p", f"{_url(address, port)}:80", IMAGE)
    galley.docker(*words, "sh", "-c", serve)


def _says(address: str, port: int) -> str:
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


def test_an_address_that_only_this_computer_has(galley: Galley, port: int, address: str) -> None:
    _serve(galley, "lan", address, port)
    galley.wait_for(lambda: _says(address, port) == "lan", "the port answers")
    assert _listed(galley) == {("lan", address, port)}
    assert net.is_free("127.0.0.1", port)
    said = _refused(galley, "198.51.100.9", port)
    assert "Check that the address belongs to this computer" in said


@pytest.mark.parametrize("every", ["0.0.0.0", "::"])
def test_every_address(galley: Galley, port: int, every: str, address: str) -> None:
    _serve(galley, "every", every, port)
    assert _listed(galley) == {("every", every, port)}
    found = ("::1",) if every == "::" else ("127.0.0.1", address)
    galley.wait_for(lambda: {_says(one, port) for one in found} == {"every"}, "it answers on each")


def test_one_port_on_each_address_is_another_containers(galley: Galley, port: int) -> None:
    """As dockerd has it on a computer of its own; also when they and the supervisor start again."""
    containers = {"one": "127.0.0.1", "two": "127.0.0.2", "six": "::1"}
    for name, address in containers.items():
        _serve(galley, name, address, port)

    def each_says_its_name() -> bool:
        return all(_says(address, port) == name for name, address in containers.items())

    galley.wait_for(each_says_its_name, "each says its own name")
    said = _refused(galley, "::1", port)
    assert f"Port {port}/tcp on ::1 is already published by the container six." in said
    galley.docker("restart", "-t", "0", "two")
    os.kill(galley.supervisor_identity().pid, signal.SIGKILL)
    galley.start()
    galley.wait_for(each_says_its_name, "they do, whoever was dead")
