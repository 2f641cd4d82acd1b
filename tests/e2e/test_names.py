"""Names in containers: this computer's own names, and all that it resolves, on every network.

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
PAGE = b"served by the host"
SERVED = b"served\n"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *words: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The web server's port."""
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
def test_the_host_is_reachable_on_the_default_network(galley: Galley, port: int, name: str) -> None:
    assert run(galley, IMAGE, *fetch(name, port)) == PAGE


def test_the_host_is_reachable_on_a_user_defined_network(
    galley: Galley, port: int, network: str
) -> None:
    assert run(galley, f"--network={network}", IMAGE, *fetch(HOST, port)) == PAGE


def test_the_host_is_reachable_on_the_host_network(galley: Galley, port: int) -> None:
    assert run(galley, "--network=host", IMAGE, *fetch(HOST, port)) == PAGE


@pytest.mark.parametrize("target", ["host-gateway", "10.0.2.2"])
def test_the_host_is_reachable_by_a_name_of_add_host(
    galley: Galley, port: int, target: str
) -> None:
    words = (f"--add-host=here:{target}", IMAGE, *fetch("here", port))
    assert run(galley, *words) == PAGE


@pytest.fixture
def named(galley: Galley, network: str) -> Iterator[str]:
    """A web server on the default and on a user-defined network, with `local_names` on."""
    galley.run("settings", "set", "local_names", "true")
    galley.docker("run", "-d", "--name", "web", IMAGE, "sh", "-c", SERVE)
    galley.docker("network", "connect", network, "web")
    yield "web.galley.local"
    galley.docker("rm", "-f", "web")
    galley.run("settings", "set", "local_names", "false")


def is_served(galley: Galley, name: str, *words: str) -> bool:
    done = galley.docker("run", "--rm", *words, IMAGE, *fetch(name, 80), check=False)
    return done.stdout == SERVED


def test_containers_resolve_each_other_by_local_name(
    galley: Galley, named: str, network: str
) -> None:
    """Each name gives the address on the client's network; none resolves once it is off."""
    galley.wait_for(lambda: is_served(galley, named), "it resolves on the default network")
    own = f"--network={network}"
    galley.wait_for(
        lambda: is_served(galley, named, own), "it resolves on the user-defined network"
    )
    galley.wait_for(
        lambda: is_served(galley, named, "--network=host"), "it resolves in the machine"
    )
    galley.docker("rename", "web", "other")
    galley.wait_for(lambda: is_served(galley, "other.galley.local"), "the new name resolves")
    galley.docker("rename", "other", "web")
    galley.run("settings", "set", "local_names", "false")
    lookup = ("run", "--rm", IMAGE, "busybox", "nslookup", named)
    galley.wait_for(
        lambda: b"NXDOMAIN" in galley.docker(*lookup, check=False).stdout, "no name resolves"
    )


def test_builds_reach_the_host(galley: Galley, port: int, tmp_path: Path) -> None:
    """With BuildKit, through the machine's own buildx, and with the legacy builder."""
    lines = f"FROM {IMAGE}\nRUN {' '.join(fetch(HOST, port))} > /page\nRUN cat /page\n"
    build = ("docker", "buildx", "build", "--progress=plain", "--no-cache", "-")
    done = galley.run("shell", *build, stdin=lines.encode())
    assert PAGE in done.stdout + done.stderr
    (tmp_path / "Dockerfile").write_text(lines)
    words = ("build", "--no-cache", str(tmp_path))
    galley.env["DOCKER_BUILDKIT"] = "0"
    try:
        assert PAGE in galley.docker(*words).stdout
    finally:
        del galley.env["DOCKER_BUILDKIT"]


def test_the_hosts_name_has_no_ipv6_address(galley: Galley) -> None:
    """An AAAA query for it gets an empty answer, not NXDOMAIN."""
    lookup = (IMAGE, "busybox", "nslookup")
    assert b"NXDOMAIN" not in run(galley, *lookup, "-type=aaaa", HOST)
    done = galley.docker("run", "--rm", *lookup, "nobody.docker.internal", check=False)
    assert b"NXDOMAIN" in done.stdout


def test_a_container_gets_the_answer_of_the_hosts_resolver(galley: Galley) -> None:
    """An invalid name gets the same answer on the host and in a container."""
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo("name.invalid.", 80)
    done = galley.docker("run", "--rm", IMAGE, "busybox", "nslookup", "name.invalid.", check=False)
    assert (b"NXDOMAIN" in done.stdout) == (caught.value.errno == socket.EAI_NONAME)


def test_the_resolver_leaves_its_port_to_containers(galley: Galley) -> None:
    """A container that publishes a name server gets port 53 of the machine."""
    free = ("-p", "53:53/udp", "-p", "53:53/tcp")
    galley.docker("create", "--name", "names", *free, IMAGE, "sleep", "100000")
    try:
        galley.docker("start", "names")
        assert run(galley, IMAGE, "busybox", "nslookup", HOST).count(b"10.0.2.2")
    finally:
        galley.docker("rm", "-f", "names")


def test_a_container_that_starts_with_the_engine_reaches_the_host(
    galley: Galley, port: int
) -> None:
    again = ("run", "-d", "--name", "early", "--restart", "always", IMAGE, "sh", "-c")
    galley.docker(
        *again, f"{' '.join(fetch(HOST, port))} && echo || echo failed; exec sleep 100000"
    )
    galley.wait_for(lambda: bool(fetched(galley, "early")), "the first start")
    galley.run("restart")
    galley.wait_for(lambda: len(fetched(galley, "early")) == 2, "the start with the engine")
    assert fetched(galley, "early") == [PAGE, PAGE]
    galley.docker("rm", "-f", "early")


def fetched(galley: Galley, name: str) -> list[bytes]:
    """The lines that the container has fetched so far."""
    return galley.docker("logs", name).stdout.splitlines()
