"""Names in containers: this computer's own, and all that it resolves, in every kind of network.

A web server listens on 127.0.0.1 of this computer, and only there.
"""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.galley import IMAGE, SERVE, Galley
from tests.e2e.servers import served

HOST = "host.docker.internal"
SAID = b"served by the host"
SERVED = b"served\n"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(SAID)))
        self.end_headers()
        self.wfile.write(SAID)

    def log_message(self, *words: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of the web server."""
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Page)) as found:
        yield found


@pytest.fixture
def network(galley: Galley) -> Iterator[str]:
    galley.docker("network", "create", "named")
    yield "named"
    galley.docker("network", "rm", "named")


def fetch(name: str, port: int) -> tuple[str, ...]:
    return ("busybox", "wget", "-q", "-O", "-", f"http://{name}:{port}/")


def run(galley: Galley, *words: str) -> bytes:
    return galley.docker("run", "--rm", *words).stdout


@pytest.mark.parametrize("name", [HOST, "gateway.docker.internal"])
def test_on_the_default_network(galley: Galley, port: int, name: str) -> None:
    assert run(galley, IMAGE, *fetch(name, port)) == SAID


def test_on_a_network_of_the_users(galley: Galley, port: int, network: str) -> None:
    assert run(galley, f"--network={network}", IMAGE, *fetch(HOST, port)) == SAID


def test_on_the_machines_own_network(galley: Galley, port: int) -> None:
    assert run(galley, "--network=host", IMAGE, *fetch(HOST, port)) == SAID


@pytest.mark.parametrize("given", ["host-gateway", "10.0.2.2"])
def test_by_a_name_of_the_users(galley: Galley, port: int, given: str) -> None:
    words = (f"--add-host=here:{given}", IMAGE, *fetch("here", port))
    assert run(galley, *words) == SAID


@pytest.fixture
def named(galley: Galley, network: str) -> Iterator[str]:
    """A web server on the default network and on one of the user's, with local names."""
    galley.run("settings", "set", "local_names", "true")
    galley.docker("run", "-d", "--name", "web", IMAGE, "sh", "-c", SERVE)
    galley.docker("network", "connect", network, "web")
    yield "web.galley.local"
    galley.docker("rm", "-f", "web")
    galley.run("settings", "set", "local_names", "false")


def known(galley: Galley, name: str, *words: str) -> bool:
    asked = galley.docker("run", "--rm", *words, IMAGE, *fetch(name, 80), check=False)
    return asked.stdout == SERVED


def test_containers_find_each_other(galley: Galley, named: str, network: str) -> None:
    """Each by the address on the network that it asks from; nobody, once that is switched off."""
    galley.wait_for(lambda: known(galley, named), "it is found on the default network")
    own = f"--network={network}"
    galley.wait_for(lambda: known(galley, named, own), "it is found on the user's network")
    galley.wait_for(lambda: known(galley, named, "--network=host"), "it is found by the machine")
    galley.docker("rename", "web", "other")
    galley.wait_for(lambda: known(galley, "other.galley.local"), "by its new name")
    galley.docker("rename", "other", "web")
    galley.run("settings", "set", "local_names", "false")
    lookup = ("run", "--rm", IMAGE, "busybox", "nslookup", named)
    galley.wait_for(
        lambda: b"NXDOMAIN" in galley.docker(*lookup, check=False).stdout, "nobody is found"
    )


def test_in_builds(galley: Galley, port: int, tmp_path: Path) -> None:
    """By BuildKit, of which the machine has a client, and by the builder that came before."""
    lines = f"FROM {IMAGE}\nRUN {' '.join(fetch(HOST, port))} > /said\nRUN cat /said\n"
    build = ("docker", "buildx", "build", "--progress=plain", "--no-cache", "-")
    done = galley.run("shell", *build, stdin=lines.encode())
    assert SAID in done.stdout + done.stderr
    (tmp_path / "Dockerfile").write_text(lines)
    words = ("build", "--no-cache", str(tmp_path))
    galley.env["DOCKER_BUILDKIT"] = "0"
    try:
        assert SAID in galley.docker(*words).stdout
    finally:
        del galley.env["DOCKER_BUILDKIT"]


def test_it_has_no_address_of_another_kind(galley: Galley) -> None:
    """A name that exists: asked for its IPv6 address it has none, and is not unknown."""
    asked = (IMAGE, "busybox", "nslookup")
    assert b"NXDOMAIN" not in run(galley, *asked, "-type=aaaa", HOST)
    done = galley.docker("run", "--rm", *asked, "nobody.docker.internal", check=False)
    assert b"NXDOMAIN" in done.stdout


def test_what_this_computer_resolves(galley: Galley) -> None:
    """By its resolver, whose answer about a name that cannot be is the same on both sides."""
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo("name.invalid.", 80)
    done = galley.docker("run", "--rm", IMAGE, "busybox", "nslookup", "name.invalid.", check=False)
    assert (b"NXDOMAIN" in done.stdout) == (caught.value.errno == socket.EAI_NONAME)


def test_the_resolver_leaves_its_port_to_containers(galley: Galley) -> None:
    """Whoever publishes a name server of its own gets port 53 of the machine."""
    free = ("-p", "53:53/udp", "-p", "53:53/tcp")
    galley.docker("create", "--name", "names", *free, IMAGE, "sleep", "100000")
    try:
        galley.docker("start", "names")
        assert run(galley, IMAGE, "busybox", "nslookup", HOST).count(b"10.0.2.2")
    finally:
        galley.docker("rm", "-f", "names")


def test_a_container_that_starts_with_the_engine_finds_the_host(galley: Galley, port: int) -> None:
    again = ("run", "-d", "--name", "early", "--restart", "always", IMAGE, "sh", "-c")
    galley.docker(
        *again, f"{' '.join(fetch(HOST, port))} && echo || echo failed; exec sleep 100000"
    )
    galley.wait_for(lambda: bool(said(galley, "early")), "the first start")
    galley.run("restart")
    galley.wait_for(lambda: len(said(galley, "early")) == 2, "the start with the engine")
    assert said(galley, "early") == [SAID, SAID]
    galley.docker("rm", "-f", "early")


def said(galley: Galley, name: str) -> list[bytes]:
    """What the container has fetched so far, line by line."""
    return galley.docker("logs", name).stdout.splitlines()
