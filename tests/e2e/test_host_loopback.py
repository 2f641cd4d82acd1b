"""Services on 127.0.0.1 and ::1 of this computer: out of reach of containers where it is set so."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.galley import IMAGE, SERVE, Galley
from tests.e2e.servers import served
from tests.e2e.test_names import HOST, SAID, fetch
from tests.e2e.test_ports import _answers

pytestmark = pytest.mark.usefixtures("no_containers")

IPV6 = "[fec0::2]"  # this computer's ::1, by QEMU's network


class Service(BaseHTTPRequestHandler):
    """A page, whatever is asked for, and /endless without an end."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(SAID)
        never = threading.Event()
        with contextlib.suppress(OSError):
            while self.path == "/endless" and not never.wait(0.05):
                self.wfile.write(SAID)

    def log_message(self, *words: object) -> None:
        """Into no log."""


class ServiceIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def service() -> Iterator[int]:
    """Its port, the same on 127.0.0.1 and ::1."""
    with contextlib.ExitStack() as held:
        port = held.enter_context(served(ThreadingHTTPServer(("127.0.0.1", 0), Service)))
        held.enter_context(served(ServiceIPv6(("::1", port), Service)))
        yield port


@pytest.fixture
def proxy() -> Iterator[int]:
    """A server that answers whatever it is asked for."""
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Service)) as port:
        yield port


@pytest.fixture
def settings(galley: Galley) -> Iterator[Galley]:
    yield galley
    for name in ("host_loopback", "proxy", "http_proxy"):
        galley.run("settings", "unset", name)


def _said(galley: Galley, container: str, *words: str) -> bytes:
    """What a container is answered, or why not."""
    done = galley.docker("exec", container, *words, check=False)
    return (done.stdout + done.stderr).strip()


def _is_refused(said: bytes) -> bool:
    return said.endswith(b"Connection refused")


def _is_on_short_way(galley: Galley, port: int) -> bool:
    """Whether a connection to the port passes no rule (flows.nft)."""
    lines = galley.run("shell", "cat", "/proc/net/nf_conntrack").stdout.decode().splitlines()
    return any("[OFFLOAD]" in line and f"dport={port} " in line for line in lines)


def test_containers_are_refused_where_it_is_off(settings: Galley, service: int, port: int) -> None:
    galley = settings
    galley.docker("run", "-d", "--name", "web", "-p", f"{port}:80", IMAGE, "sh", "-c", SERVE)
    galley.docker("run", "-d", "--name", "own", "--network=host", IMAGE, "sleep", "100000")
    endless = ("busybox", "wget", "-q", "-O", "/got", f"http://{HOST}:{service}/endless")
    galley.docker("run", "-d", "--name", "long", IMAGE, *endless)
    over_ipv4, over_ipv6 = fetch(HOST, service), fetch(IPV6, service)
    assert _said(galley, "web", *over_ipv4) == SAID
    assert _said(galley, "own", *over_ipv4) == SAID
    assert _said(galley, "own", *over_ipv6) == SAID
    galley.wait_for(lambda: _is_on_short_way(galley, service), "a connection takes the short way")
    galley.run("settings", "set", "host_loopback", "false")
    assert _is_refused(_said(galley, "web", *over_ipv4))
    assert _is_refused(_said(galley, "own", *over_ipv4))
    assert _is_refused(_said(galley, "own", *over_ipv6))
    assert _is_refused(_said(galley, "web", *fetch(HOST, port))), "a published port is one, too"
    assert all(_answers(address, port) for address in ("127.0.0.1", "::1"))
    galley.run("shell", "nc.openbsd", "-z", "10.0.2.2", str(service))  # no container
    galley.docker("wait", "long")  # what was established has ended
    galley.run("settings", "set", "host_loopback", "true")
    assert _said(galley, "web", *over_ipv4) == SAID


def test_it_holds_from_the_start_on(settings: Galley, service: int, proxy: int) -> None:
    """For a container that starts with the engine, and where it is changed during a suspend.
    A proxy stays reachable."""
    galley = settings
    direct = " ".join(fetch(HOST, service))
    script = (
        f"{direct}; http_proxy=http://10.0.2.2:{proxy} busybox wget -q -O - http://example.com/"
    )
    early = ("run", "-d", "--name", "early", "--restart", "always", IMAGE, "sh", "-c")
    galley.docker(*early, f"{script}; echo; exec sleep 100000")
    galley.wait_for(lambda: len(_logs(galley)) == 1, "the first start")
    assert _logs(galley) == [SAID + SAID]
    galley.run("stop", "--cold")
    for name, value in {
        "host_loopback": "false",
        "http_proxy": f"http://127.0.0.1:{proxy}",
        "proxy": "manual",
    }.items():
        galley.run("settings", "set", name, value)
    galley.start()
    galley.wait_for(lambda: len(_logs(galley)) == 2, "the start with the engine")
    assert _logs(galley) == [SAID + SAID, SAID]
    through = ("busybox", "wget", "-q", "-O", "-", "http://example.com/")
    assert galley.docker("run", "--rm", IMAGE, *through).stdout == SAID
    asked = fetch(HOST, service)
    galley.run("suspend")
    galley.run("settings", "set", "host_loopback", "true")
    galley.start()
    assert _said(galley, "early", *asked) == SAID
    galley.run("suspend")
    galley.run("settings", "set", "host_loopback", "false")
    galley.start()
    assert _is_refused(_said(galley, "early", *asked))


def _logs(galley: Galley) -> list[bytes]:
    """What the container that starts with the engine was answered, a line for each start."""
    return galley.docker("logs", "early").stdout.splitlines()
