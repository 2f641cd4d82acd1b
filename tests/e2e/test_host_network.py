"""Ports of containers with `--network host` are reachable on this computer's loopback."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.e2e.galley import IMAGE, Galley
from tests.e2e.pythons import scripts_tar
from tests.e2e.test_ports import BOTH, PYTHON, _answers, _is_free, _listed, _taken
from vm.host import net

pytestmark = pytest.mark.usefixtures("no_containers")

ECHO = """
import socket, select
servers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
servers[0].bind(("", {}))
servers[1].bind(("127.0.0.1", {}))
while True:
    for server in select.select(servers, [], [])[0]:
        data, sender = server.recvfrom(100)
        server.sendto(data, sender)
"""


def _listen(galley: Galley, name: str, *listeners: str) -> None:
    """Runs a container with a server on each listener: a port, or an address and a port."""
    servers = " & ".join(f"busybox httpd -f -p {each} -h /" for each in listeners)
    script = f"echo served > /index.html; {servers} & sleep 1000"
    galley.docker("run", "-d", "--name", name, "--network", "host", IMAGE, "sh", "-c", script)


def _serves(*ports: int) -> bool:
    return all(_answers(address, port) for address in BOTH for port in ports)


def _problems(galley: Galley) -> dict[tuple[str, int], str]:
    rows = json.loads(galley.run("ports", "--json").stdout)
    return {
        (row["forward"]["host_address"], row["forward"]["host_port"]): row["problem"]["summary"]
        for row in rows
        if row["problem"]
    }


@contextlib.contextmanager
def _setting_off(galley: Galley) -> Iterator[None]:
    galley.run("settings", "set", "host_network_ports", "false")
    try:
        yield
    finally:
        galley.run("settings", "set", "host_network_ports", "true")


def test_a_port_is_open_while_a_host_network_container_listens(galley: Galley, port: int) -> None:
    """On all guest addresses or its loopback; the guest's own ports are not forwarded."""
    inner, later = net.free_port(), net.free_port()
    _listen(galley, "web", str(port), f"127.0.0.1:{inner}")
    galley.wait_for(lambda: _serves(port, inner), "both answer")
    assert _listed(galley) == {("web", at, each) for at in BOTH for each in (port, inner)}
    serve = f"echo $$ > /later; exec busybox httpd -f -p {later} -h /"
    galley.docker("exec", "-d", "web", "sh", "-c", serve)
    galley.wait_for(lambda: _serves(later), "a later listener answers")
    galley.docker("exec", "web", "sh", "-c", "kill $(cat /later)")
    galley.wait_for(lambda: _is_free(later), "its port is closed")
    with _setting_off(galley):
        assert _is_free(port)
        assert _listed(galley) == set()
    galley.wait_for(lambda: _serves(port, inner), "both answer again")
    os.kill(galley.supervisor_identity().pid, signal.SIGKILL)
    galley.start()
    galley.wait_for(lambda: _serves(port, inner), "the next supervisor forwards them")
    galley.run("suspend")
    assert _is_free(port)
    galley.start()
    assert _serves(port, inner), "they are open after the resume"
    galley.docker("rm", "-f", "web")
    galley.wait_for(lambda: _is_free(port) and _is_free(inner), "the ports are closed")


def test_a_port_that_cannot_be_forwarded_is_reported_and_others_work(
    galley: Galley, port: int
) -> None:
    only_ipv6 = net.free_port()
    with _taken() as taken:
        _listen(galley, "web", str(port), str(taken), f"[::1]:{only_ipv6}")
        galley.wait_for(lambda: _serves(port), "the container's free port answers")
        galley.wait_for(lambda: len(_problems(galley)) == 2, "the problems are reported")
        problems = _problems(galley)
        assert "is already in use by" in problems["127.0.0.1", taken]
        assert f"(pid {os.getpid()})" in problems["127.0.0.1", taken]
        assert "IPv6 only" in problems["::1", only_ipv6]
        assert _answers("::1", taken), "the port is taken on one address only"


def test_udp_ports_are_forwarded(galley: Galley, port: int) -> None:
    inner = net.free_port()
    galley.docker("import", "--change", "ENV PYTHONHOME=/", "-", PYTHON, stdin=scripts_tar())
    words = ["run", "-d", "--name", "udp", "--network", "host", PYTHON, "python", "-S", "-c"]
    galley.docker(*words, ECHO.format(port, inner))
    servers = [(address, each) for address in BOTH for each in (port, inner)]
    galley.wait_for(lambda: all(_echoes(*server) for server in servers), "answers come back")
    galley.docker("rm", "-f", "udp")
    galley.wait_for(lambda: _listed(galley) == set(), "the ports are closed")


def _echoes(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.sendto(b"echo", (address, port))
            return client.recv(100) == b"echo"
        except OSError:
            return False
