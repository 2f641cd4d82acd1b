"""Services on 127.0.0.1 and ::1 of this computer: out of reach of containers where it is set so."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.galley import IMAGE, SERVE, Galley
from tests.e2e.test_names import HOST, SAID, fetch
from tests.e2e.test_ports import _answers

pytestmark = pytest.mark.usefixtures("no_containers")

HOST_NETWORK = "--network=host"
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
        """Nobody reads it."""


class ServiceIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextlib.contextmanager
def _served(server: ThreadingHTTPServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def service() -> Iterator[int]:
    """Its port, the same on 127.0.0.1 and ::1."""
    with contextlib.ExitStack() as held:
        port = held.enter_context(_served(ThreadingHTTPServer(("127.0.0.1", 0), Service)))
        held.enter_context(_served(ServiceIPv6(("::1", port), Service)))
        yield port


@pytest.fixture
def proxy() -> Iterator[int]:
    """A server that answers whatever it is asked for."""
    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Service)) as port:
        yield port


@pytest.fixture
def settings(galley: Galley) -> Iterator[Galley]:
    yield galley
    for name in ("host_loopback", "proxy", "http_proxy"):
        galley.run("settings", "unset", name)


def _said(galley: Galley, *words: str) -> bytes:
    """What a container is answered, or why not."""
    done = galley.docker("run", "--rm", *words, check=False)
    return (done.stdout + done.stderr).strip()


def _is_refused(said: bytes) -> bool:
    return said.endswith(b"Connection refused")


def test_containers_are_refused_where_it_is_off(settings: Galley, service: int, port: int) -> None:
    galley = settings
    asked = (IMAGE, *fetch(HOST, service))
    over_ipv6 = (HOST_NETWORK, IMAGE, *fetch(IPV6, service))
    assert _said(galley, *asked) == SAID
    assert _said(galley, HOST_NETWORK, *asked) == SAID
    assert _said(galley, *over_ipv6) == SAID
    endless = ("busybox", "wget", "-O", "/got", f"http://{HOST}:{service}/endless")
    galley.docker("run", "-d", "--name", "long", IMAGE, *endless)
    galley.wait_for(
        lambda: galley.docker("exec", "long", "sh", "-c", "cat /got", check=False).stdout != b"",
        "a connection is established",
    )
    galley.docker("run", "-d", "--name", "web", "-p", f"{port}:80", IMAGE, "sh", "-c", SERVE)
    galley.run("settings", "set", "host_loopback", "false")
    ended = galley.docker("wait", "long").stdout
    assert ended.strip() != b"0"
    assert _is_refused(_said(galley, *asked))
    assert _is_refused(_said(galley, HOST_NETWORK, *asked))
    assert _is_refused(_said(galley, *over_ipv6))
    assert _is_refused(_said(galley, IMAGE, *fetch("10.0.2.3", service)))
    assert _is_refused(_said(galley, IMAGE, *fetch(HOST, port))), "a published port is one, too"
    assert all(_answers(address, port) for address in ("127.0.0.1", "::1"))
    assert galley.run("shell", "nc", "-z", "10.0.2.2", str(service)).returncode == 0
    galley.run("settings", "set", "host_loopback", "true")
    assert _said(galley, *asked) == SAID


def test_it_holds_from_the_start_on(settings: Galley, service: int, proxy: int) -> None:
    """For a container that starts with the engine; after a suspend, also where it is changed
    meanwhile. A proxy stays reachable."""
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
    through = (IMAGE, "busybox", "wget", "-q", "-O", "-", "http://example.com/")
    assert _said(galley, *through) == SAID
    alone = ("exec", "early", *fetch(HOST, service))
    galley.run("suspend")
    galley.start()
    assert galley.docker(*alone, check=False).stdout == b""
    galley.run("suspend")
    galley.run("settings", "set", "host_loopback", "true")
    galley.start()
    assert galley.docker(*alone, check=False).stdout == SAID
    galley.run("suspend")
    galley.run("settings", "set", "host_loopback", "false")
    galley.start()
    assert galley.docker(*alone, check=False).stdout == b""


def _logs(galley: Galley) -> list[bytes]:
    """What the container that starts with the engine was answered, a line for each start."""
    return galley.docker("logs", "early").stdout.splitlines()
