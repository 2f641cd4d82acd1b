"""The setting `host_loopback`: containers reach the host's 127.0.0.1 and ::1, or do not."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.galley import IMAGE, SERVE, Galley
from tests.e2e.servers import served
from tests.e2e.test_names import HOST, PAGE, fetch
from tests.e2e.test_ports import _answers

pytestmark = pytest.mark.usefixtures("no_containers")

IPV6 = "[fec0::2]"  # this computer's ::1, by QEMU's network


class Service(BaseHTTPRequestHandler):
    """Serves a page at every path; the response to /endless never ends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE)
        never = threading.Event()
        with contextlib.suppress(OSError):
            while self.path == "/endless" and not never.wait(0.05):
                self.wfile.write(PAGE)

    def log_message(self, *words: object) -> None:
        """Logs nothing."""


class ServiceIPv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def service() -> Iterator[int]:
    """The service's port, the same on 127.0.0.1 and ::1."""
    with contextlib.ExitStack() as held:
        port = held.enter_context(served(ThreadingHTTPServer(("127.0.0.1", 0), Service)))
        held.enter_context(served(ServiceIPv6(("::1", port), Service)))
        yield port


@pytest.fixture
def proxy() -> Iterator[int]:
    """The port of a server that answers every request, as a proxy would."""
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Service)) as port:
        yield port


@pytest.fixture
def settings(galley: Galley) -> Iterator[Galley]:
    yield galley
    for name in ("host_loopback", "proxy", "http_proxy"):
        galley.run("settings", "unset", name)


def _exec(galley: Galley, container: str, *words: str) -> bytes:
    """The output of a command in a container, also its error."""
    done = galley.docker("exec", container, *words, check=False)
    return (done.stdout + done.stderr).strip()


def _is_refused(output: bytes) -> bool:
    return output.endswith(b"Connection refused")


def _is_offloaded(galley: Galley, port: int) -> bool:
    """Whether a connection to the port is offloaded, so that no rule sees it (flows.nft)."""
    lines = galley.run("shell", "cat", "/proc/net/nf_conntrack").stdout.decode().splitlines()
    return any("[OFFLOAD]" in line and f"dport={port} " in line for line in lines)


def test_containers_cannot_reach_the_hosts_loopback_when_it_is_off(
    settings: Galley, service: int, port: int
) -> None:
    galley = settings
    galley.docker("run", "-d", "--name", "web", "-p", f"{port}:80", IMAGE, "sh", "-c", SERVE)
    galley.docker("run", "-d", "--name", "own", "--network=host", IMAGE, "sleep", "100000")
    endless = ("busybox", "wget", "-q", "-O", "/got", f"http://{HOST}:{service}/endless")
    galley.docker("run", "-d", "--name", "long", IMAGE, *endless)
    over_ipv4, over_ipv6 = fetch(HOST, service), fetch(IPV6, service)
    assert _exec(galley, "web", *over_ipv4) == PAGE
    assert _exec(galley, "own", *over_ipv4) == PAGE
    assert _exec(galley, "own", *over_ipv6) == PAGE
    galley.wait_for(lambda: _is_offloaded(galley, service), "a connection is offloaded")
    galley.run("settings", "set", "host_loopback", "false")
    assert _is_refused(_exec(galley, "web", *over_ipv4))
    assert _is_refused(_exec(galley, "own", *over_ipv4))
    assert _is_refused(_exec(galley, "own", *over_ipv6))
    assert _is_refused(_exec(galley, "web", *fetch(HOST, port))), (
        "a published port is on the loopback, too"
    )
    assert all(_answers(address, port) for address in ("127.0.0.1", "::1"))
    galley.run("shell", "nc.openbsd", "-z", "10.0.2.2", str(service))  # the machine itself may
    galley.docker("wait", "long")  # the established connection was ended
    galley.run("settings", "set", "host_loopback", "true")
    assert _exec(galley, "web", *over_ipv4) == PAGE


def test_the_setting_applies_from_the_start_and_after_a_resume(
    settings: Galley, service: int, proxy: int
) -> None:
    """Also to a container that starts with the engine, and after a change during a suspend.
    A proxy stays reachable."""
    galley = settings
    direct = " ".join(fetch(HOST, service))
    script = (
        f"{direct}; http_proxy=http://10.0.2.2:{proxy} busybox wget -q -O - http://example.com/"
    )
    early = ("run", "-d", "--name", "early", "--restart", "always", IMAGE, "sh", "-c")
    galley.docker(*early, f"{script}; echo; exec sleep 100000")
    galley.wait_for(lambda: len(_logs(galley)) == 1, "the first start")
    assert _logs(galley) == [PAGE + PAGE]
    galley.run("stop", "--cold")
    for name, value in {
        "host_loopback": "false",
        "http_proxy": f"http://127.0.0.1:{proxy}",
        "proxy": "manual",
    }.items():
        galley.run("settings", "set", name, value)
    galley.start()
    galley.wait_for(lambda: len(_logs(galley)) == 2, "the start with the engine")
    assert _logs(galley) == [PAGE + PAGE, PAGE]
    through = ("busybox", "wget", "-q", "-O", "-", "http://example.com/")
    assert galley.docker("run", "--rm", IMAGE, *through).stdout == PAGE
    request = fetch(HOST, service)
    galley.run("suspend")
    galley.run("settings", "set", "host_loopback", "true")
    galley.start()
    assert _exec(galley, "early", *request) == PAGE
    galley.run("suspend")
    galley.run("settings", "set", "host_loopback", "false")
    galley.start()
    assert _is_refused(_exec(galley, "early", *request))


def _logs(galley: Galley) -> list[bytes]:
    """The responses to the container that starts with the engine, a line for each start."""
    return galley.docker("logs", "early").stdout.splitlines()
