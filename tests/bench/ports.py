"""Published ports against the same server, unpublished, over QEMU's own forwarding.

The server is busybox's httpd, with its files in memory: in a container with its own network, in one
with the guest's network, and outside of containers, where it answers a small request faster. Then
fifty containers start at once, and a client connects to every port as soon as the start event
arrives. Next: `engine/ports/starts.py`.
"""

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tests.bench.figures import Row, at_least, at_most, compared, row
from tests.bench.lab import Lab
from tests.bench.timing import alternate, wait_until
from tests.capability import have
from tests.e2e.galley import IMAGE, Galley
from tests.e2e.test_ports import host_ports
from tests.unit.engine.bridge.test_check import Client
from vm.backends import choose
from vm.host import net
from vm.types import Forward

SIZE = 64  # MiB
GUEST_PORT, GUEST_NETWORK_PORT = 8099, 8098
MANY_FROM = 10000  # below the ephemeral ports of systems, and below dockerd's, from 20000 on
SERVE = (
    "mkdir -p $1; echo small > $1/small; "
    f"busybox dd if=/dev/zero of=$1/big bs=1M count={SIZE}; exec busybox httpd $3 -p $2 -h $1"
)
IN_CONTAINER = ("sh", "-c", SERVE, "sh", "/www", "80", "-f")
IN_GUEST_NETWORK = ("sh", "-c", SERVE, "sh", "/www", str(GUEST_NETWORK_PORT), "-f")
IN_GUEST = ("sh", "-c", SERVE, "sh", "/run/www", str(GUEST_PORT))


def measure(lab: Lab) -> Iterator[Row]:
    galley = lab.running()
    published = net.free_port()
    _publish(galley, published)
    raw, unpublished = _unpublished(lab)
    endpoints = (published, raw, unpublished)
    wait_until(lambda: all(map(_can_get, endpoints)), "all servers answer", 0.1)
    speeds = alternate(lab.times(7, 2), lambda: _speed(published), lambda: _speed(raw))
    yield compared("ports.throughput", "MiB/s", speeds, at_least(0.8))
    times = lab.times(300, 30)
    gets = alternate(times, lambda: 1e3 * _get(published), lambda: 1e3 * _get(unpublished))
    yield compared("ports.small_get", "ms", gets, at_most(1.1))
    gets = alternate(times, lambda: 1e3 * _get(published), lambda: 1e3 * _get(raw))
    yield compared("ports.small_get_of_no_container", "ms", gets)
    galley.docker("rm", "-f", "web", "in-guest-network")
    many = lab.times(50, 5)
    misses = _misses(galley, many)
    yield row("ports.missed_at_start", float(misses), "ports", goal=at_most(0), n=2 * many)


def _publish(galley: Galley, port: int) -> None:
    options = ("--name", "web", "--tmpfs", "/www", "-p", f"{port}:80")
    galley.docker("run", "-d", *options, IMAGE, *IN_CONTAINER)


def _unpublished(lab: Lab) -> tuple[int, int]:
    """Ports of this host that QEMU forwards to a server in the guest, and to one in a container
    with the guest's network."""
    guest, forwarder = lab.guest(), have(choose("qemu").forwards_ports)
    done = guest.run(IN_GUEST, timeout=60)
    assert done.ok, done.tail()
    guest.close()
    options = ("--name", "in-guest-network", "--network", "host", "--tmpfs", "/www")
    lab.galley.docker("run", "-d", *options, IMAGE, *IN_GUEST_NETWORK)
    ports = _free_ports(2)

    def forward_ports() -> bool:
        """Repeats it: at each start Galley closes forwards that no container publishes."""
        for port, to in zip(ports, (GUEST_PORT, GUEST_NETWORK_PORT), strict=True):
            if not _is_open(port):
                forwarder.forward(lab.galley.machine, Forward("127.0.0.1", port, to))
        return all(map(_can_get, ports))

    wait_until(forward_ports, "the ports that QEMU forwards answer", 1)
    return ports[0], ports[1]


def _free_ports(count: int) -> list[int]:
    """Ports that no system assigns to another program in the meantime."""
    free = (port for port in range(MANY_FROM, MANY_FROM + 8000) if not _is_open(port))
    return list(itertools.islice(free, count))


def _get(port: int, path: str = "/small") -> float:
    """Seconds for one GET on a new connection."""
    began = time.monotonic()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    client.request("GET", path)
    answer = client.getresponse()
    size = len(answer.read())
    client.close()
    assert answer.status == 200
    assert size > 0
    return time.monotonic() - began


def _can_get(port: int) -> bool:
    try:
        return _get(port, "/big") > 0  # the servers create this file last
    except (OSError, http.client.HTTPException, AssertionError):
        return False


def _speed(port: int) -> float:
    return SIZE / _get(port, "/big")


def _misses(galley: Galley, many: int) -> int:
    """Starts containers with two ports each, a fixed one and one that dockerd chooses; returns the
    number of ports that were not open when the start event arrived."""
    ports = _free_ports(many)
    client, inspector = Client(galley.home.docker_socket), Client(galley.home.docker_socket)
    client.request("GET", '/events?filters={"event":["start"]}')
    events = client.getresponse()
    missed: list[int] = []

    def listen() -> None:
        for _ in range(many):
            found = host_ports(inspector, json.loads(events.readline())["id"])
            missed.extend([0] * (2 - len(found)))
            missed.extend(port for port in found if not _is_open(port))

    listening = threading.Thread(target=listen)
    listening.start()
    runs: list[Future[object]] = []
    sleep = (IMAGE, "sleep", "1000")
    with ThreadPoolExecutor(many) as pool:
        for number, port in enumerate(ports):
            words = ("--name", f"many{number}", "-p", f"{port}:80", "-p", "81", *sleep)
            runs.append(pool.submit(galley.docker, "run", "-d", *words))
    for run in runs:
        run.result()  # a failed start would have no event
    listening.join(120)
    assert not listening.is_alive(), "not every start event arrived"
    for each in (client, inspector):
        each.close()
    galley.docker("rm", "-f", *(f"many{number}" for number in range(many)))
    return len(missed)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True
