"""Published ports: open from `docker run`'s return to the container's end; a taken port fails."""

import contextlib
import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.galley import IMAGE, SERVE, Galley
from tests.e2e.processes import belonging_to
from tests.e2e.pythons import scripts_tar
from tests.unit.engine.bridge.test_check import Client
from vm.host import net

pytestmark = pytest.mark.usefixtures("no_containers")

BOTH = ("127.0.0.1", "::1")
SOON = 30.0  # seconds in which a port that is not needed is closed, on a busy computer
MANY = 12  # the benchmark takes fifty
# The static busybox speaks no UDP.
PYTHON = "galley-python"
ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 53))
while True:
    data, sender = server.recvfrom(100)
    server.sendto(data, sender)
"""


def _is_open(address: str, port: int) -> bool:
    """Whether one connection attempt succeeds."""
    try:
        socket.create_connection((address, port), timeout=10).close()
    except OSError:
        return False
    return True


def _answers(address: str, port: int) -> bool:
    host = f"[{address}]" if ":" in address else address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=10) as reply:
            return bool(reply.read() == b"served\n")
    except OSError:
        return False


def _is_free(port: int) -> bool:
    return all(net.is_free(address, port) for address in BOTH)


def _serve(galley: Galley, name: str, *words: str) -> None:
    galley.docker("run", "-d", "--name", name, *words, IMAGE, "sh", "-c", SERVE)


def _listed(galley: Galley) -> set[tuple[str, str, int]]:
    rows = json.loads(galley.run("ports", "--json").stdout)
    return {
        (row["container"], row["forward"]["host_address"], row["forward"]["host_port"])
        for row in rows
    }


def host_ports(client: Client, container: str) -> set[int]:
    inspected: Any = client.ask("GET", f"/containers/{container}/json")[1]
    ports = inspected["NetworkSettings"]["Ports"].values()
    return {int(each["HostPort"]) for bindings in ports for each in bindings}


@contextlib.contextmanager
def _taken(address: str = "127.0.0.1") -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as holder:
        yield holder.getsockname()[1]


def test_a_port_follows_its_container(galley: Galley, port: int) -> None:
    _serve(galley, "web", "-p", f"{port}:80")
    for address in BOTH:
        assert _is_open(address, port), f"open on {address} when docker run has returned"
        assert ("web", address, port) in _listed(galley)
    galley.wait_for(lambda: all(_answers(address, port) for address in BOTH), "the server answers")
    galley.docker("pause", "web")
    assert not _is_free(port)
    galley.docker("unpause", "web")
    assert _answers("127.0.0.1", port)
    galley.docker("restart", "-t", "0", "web")
    assert _is_open("127.0.0.1", port)
    galley.docker("stop", "-t", "0", "web")
    galley.wait_for(lambda: _is_free(port), "the port is closed", SOON)
    galley.docker("start", "web")
    assert _is_open("127.0.0.1", port)
    galley.wait_for(lambda: _answers("::1", port), "the port answers again")
    galley.docker("rm", "-f", "web")
    galley.wait_for(lambda: _is_free(port), "the port is closed for good", SOON)


@pytest.mark.parametrize("address", BOTH)
def test_a_port_published_on_one_address(galley: Galley, port: int, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    _serve(galley, "local", "-p", f"{host}:{port}:80")
    galley.wait_for(lambda: _answers(address, port), "the port answers")
    assert _listed(galley) == {("local", address, port)}
    other = next(each for each in BOTH if each != address)
    assert net.is_free(other, port)
    galley.docker("rm", "-f", "local")
    galley.wait_for(lambda: _is_free(port), "the port is closed", SOON)


def test_ports_chosen_by_dockerd_and_port_ranges(galley: Galley) -> None:
    first = 31000  # below this computer's ephemeral ports
    words = ["-p", "80", "-p", "81/udp", "-p", f"{first}-{first + 29}:{first}-{first + 29}"]
    _serve(galley, "many", *words)
    chosen = int(galley.docker("port", "many", "80").stdout.split()[0].rsplit(b":", 1)[1])
    assert 20000 <= chosen < 30000
    assert all(_is_open("127.0.0.1", port) for port in (chosen, *range(first, first + 30)))
    assert len(json.loads(galley.run("ports", "--json").stdout)) == 64
    galley.docker("rm", "-f", "many")
    galley.wait_for(lambda: _is_free(first) and _is_free(chosen), "the ports are closed", SOON)


def test_a_compose_project_with_thirty_ports(galley: Galley, tmp_path: Path) -> None:
    galley.load_compose()
    ports = [net.free_port() for _ in range(30)]
    command = ["sleep", "1000"]
    services = {
        f"part{number}": {
            "image": IMAGE,
            "command": command,
            "ports": [f"{port}:{port}" for port in ports[10 * number : 10 * number + 10]],
        }
        for number in range(3)
    }
    project = tmp_path / "compose.yaml"  # JSON is YAML
    project.write_text(json.dumps({"name": "thirty", "services": services}))
    galley.docker("compose", "-f", str(project), "up", "-d")
    assert [port for port in ports if not _is_open("127.0.0.1", port)] == []
    assert [port for port in ports if not _is_open("::1", port)] == []
    assert {port for _, _, port in _listed(galley)} == set(ports)
    galley.docker("compose", "-f", str(project), "down", "-t", "0")
    galley.wait_for(lambda: all(_is_free(port) for port in ports), "all are closed", SOON)


def test_the_ports_are_open_when_the_start_event_arrives(galley: Galley) -> None:
    """For many containers at once, each with a fixed port and one that dockerd chooses."""
    misses: list[str] = []
    seen: list[str] = []
    ports = [net.free_port() for _ in range(MANY)]
    ready = threading.Event()

    def listen() -> None:
        client, inspector = Client(galley.home.docker_socket), Client(galley.home.docker_socket)
        client.request("GET", '/events?filters={"event":["start"]}')
        events = client.getresponse()
        ready.set()
        while len(seen) < MANY:
            container = json.loads(events.readline())["id"]
            found = host_ports(inspector, container)
            misses.extend(f"{port}" for port in found if not _is_open("127.0.0.1", port))
            misses.extend(["no two ports"] if len(found) != 2 else [])
            seen.append(container)
        client.close()
        inspector.close()

    listening = threading.Thread(target=listen)
    listening.start()
    assert ready.wait(30)
    with ThreadPoolExecutor(MANY) as pool:
        began = [
            pool.submit(_serve, galley, f"m{number}", "-p", f"{port}:80", "-p", "81")
            for number, port in enumerate(ports)
        ]
        for each in began:
            each.result()
    listening.join(60)
    assert (len(seen), misses) == (MANY, [])


@pytest.mark.parametrize("address", BOTH)
def test_a_taken_port_fails_the_start_and_names_its_holder(galley: Galley, address: str) -> None:
    with _taken(address) as taken:
        words = ["run", "-d", "--name", "late", "-p", f"{taken}:80", IMAGE, "sh", "-c", SERVE]
        done = galley.docker(*words, check=False)
        assert done.returncode != 0
        stderr = done.stderr.decode()
        assert f"Port {taken}/tcp on {address} is already in use by" in stderr
        assert f"(pid {os.getpid()})" in stderr
        state = galley.docker("inspect", "-f", "{{.State.Status}}", "late").stdout.strip()
        assert state == b"created"
        assert galley.docker("start", "late", check=False).returncode != 0
        assert not _listed(galley)
    galley.docker("start", "late")
    assert _is_open(address, taken)


def test_two_containers_cannot_have_one_port(galley: Galley, port: int) -> None:
    _serve(galley, "first", "-p", f"{port}:80")
    for name, address in (("second", "127.0.0.1"), ("third", "0.0.0.0")):
        published = f"{port}:80" if name == "second" else f"{address}:{port}:80"
        done = galley.docker("run", "--name", name, "-p", published, IMAGE, "true", check=False)
        assert done.returncode != 0
        stderr = done.stderr.decode()
        ours = f"Port {port}/tcp on {address} is already published by the container first."
        assert ours in stderr or (name == "third" and "port is already allocated" in stderr)
    galley.wait_for(lambda: _answers("127.0.0.1", port), "the first still answers")


def _chosen(galley: Galley, name: str) -> int:
    stdout = galley.docker("port", name, "80/tcp").stdout.decode()
    return int(stdout.split()[0].rpartition(":")[2])


def test_dockerd_chooses_no_port_that_is_taken_on_the_host(galley: Galley) -> None:
    """Without a range dockerd skips taken ports. With a range a taken port fails the start, and the
    next start tries the next port; a native dockerd does the same."""
    _serve(galley, "first", "-p", "80")
    after = _chosen(galley, "first") + 1
    with contextlib.ExitStack() as held:
        for port, address in ((after, "127.0.0.1"), (after + 1, "::1"), (24000, "127.0.0.1")):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            held.enter_context(socket.create_server((address, port), family=family))
        _serve(galley, "second", "-p", "80")
        chosen = _chosen(galley, "second")
        assert chosen > after + 1
        assert all(_is_open(address, chosen) for address in BOTH)
        ranged = ("run", "-d", "--name", "third", "-p", "24000-24003:80", IMAGE, "sh", "-c", SERVE)
        done = galley.docker(*ranged, check=False)
        assert b"24000: bind: address already in use" in done.stderr
        galley.docker("start", "third")
        assert _chosen(galley, "third") in range(24001, 24004)
        assert _is_open("::1", _chosen(galley, "third"))
        assert galley.status()["problems"] == []
    _serve(galley, "fourth", "-p", "24000:80")  # the port is free now
    assert _is_open("127.0.0.1", 24000)


def test_ports_survive_a_killed_dockerd_and_supervisor(galley: Galley, port: int) -> None:
    _serve(galley, "lasting", "-p", f"{port}:80")
    galley.wait_for(lambda: _answers("127.0.0.1", port), "the port answers")
    galley.run("shell", "sh", "-c", "kill -9 $(pidof dockerd)")
    galley.wait_for(galley.answers, "dockerd runs again")
    galley.wait_for(lambda: _answers("::1", port), "the port answers after dockerd was killed")
    os.kill(galley.supervisor_identity().pid, signal.SIGKILL)
    assert all(_answers(address, port) for address in BOTH), (
        "the forwarders work without the supervisor"
    )
    (forwarder,) = _forwarder_pids(galley)
    galley.start()
    assert {("lasting", address, port) for address in BOTH} == _listed(galley)
    assert all(_answers(address, port) for address in BOTH)
    assert _forwarder_pids(galley) == [forwarder], "the next supervisor adopts the forwarder"
    galley.docker("rm", "-f", "lasting")
    galley.wait_for(lambda: _is_free(port), "the port is closed", SOON)


def _forwarder_pids(galley: Galley) -> list[int]:
    """The processes that forward ports on IPv6 addresses."""
    ours = belonging_to(str(galley.home.root))
    return [pid for pid, line in ours.items() if "vm.host.forwarder_process" in line]


@pytest.mark.parametrize("network", ["bridge", "own"])
def test_large_transfers_are_complete_and_use_large_packets(
    galley: Galley, port: int, network: str
) -> None:
    """In both directions. QEMU handles each packet of the guest's network card separately."""
    if network == "own":
        galley.docker("network", "create", network)
    _serve_echo(galley, port, "--network", network)
    sent, before = os.urandom(8 << 20), _sent(galley)
    assert _echo(port, sent) == sent
    sizes, packets = (now - then for now, then in zip(_sent(galley), before, strict=True))
    assert sizes > len(sent)
    assert sizes / packets > 4000, "on average, acknowledgements included"
    galley.docker("rm", "-f", "echo")
    if network == "own":
        galley.docker("network", "rm", network)


def test_established_connections_are_offloaded(galley: Galley, port: int) -> None:
    """Those to published ports, by nftables' flowtable; they end as other connections do."""
    _serve_echo(galley, port)
    galley.wait_for(
        lambda: "veth" in _guest(galley, *FLOWS), "the flowtable has the container's link"
    )
    address = _address(galley, "echo")
    connect = ("sh", "-c", f"(echo hello; sleep 1000) | busybox nc {address} 80")
    galley.docker("run", "-d", "--name", "neighbour", IMAGE, *connect)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(20):
            connection.sendall(b"there")
            assert connection.recv(100) == b"there"
        galley.wait_for(lambda: len(_connections(galley, address)) == 2, "both are connected")
        offloaded = [line for line in _connections(galley, address) if "[OFFLOAD]" in line]
        assert len(offloaded) == 1
        assert f"dport={port}" in offloaded[0], "a neighbour's connection is not offloaded"
        galley.docker("kill", "echo")
        assert connection.recv(100) == b"", "the client sees the end of the connection"
    galley.docker("rm", "-f", "neighbour")
    galley.wait_for(lambda: "veth" not in _guest(galley, *FLOWS), "the flowtable drops the link")


FLOWS = ("/usr/sbin/nft", "list", "flowtable", "ip", "galley", "containers")


def _guest(galley: Galley, *words: str) -> str:
    return galley.run("shell", *words).stdout.decode()


def _address(galley: Galley, name: str) -> str:
    inspect = ("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)
    return galley.docker(*inspect).stdout.decode().strip()


def _connections(galley: Galley, address: str) -> list[str]:
    """The established connections of a container in the guest's conntrack table."""
    lines = _guest(galley, "cat", "/proc/net/nf_conntrack").splitlines()
    states = ("ESTABLISHED", "[OFFLOAD]")
    return [line for line in lines if f"{address} " in line and any(it in line for it in states)]


def _serve_echo(galley: Galley, port: int, *words: str) -> None:
    echo = (IMAGE, "busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "cat")
    galley.docker("run", "-d", "--name", "echo", *words, "-p", f"{port}:80", *echo)
    galley.wait_for(lambda: _echo(port, b"there") == b"there", "the container echoes")


def _echo(port: int, data: bytes) -> bytes:
    received = bytearray()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            sending = threading.Thread(target=lambda: connection.sendall(data))
            sending.start()
            while len(received) < len(data) and (got := connection.recv(1 << 16)):
                received += got
            sending.join(60)
    except OSError:
        return b""
    return bytes(received)


def _sent(galley: Galley) -> tuple[int, int]:
    """Bytes and packets that the guest's network card has sent so far."""
    names = ("tx_bytes", "tx_packets")
    files = (f"/sys/class/net/eth0/statistics/{name}" for name in names)
    sizes, packets = galley.run("shell", "cat", *files).stdout.split()
    return int(sizes), int(packets)


@pytest.mark.parametrize("address", BOTH)
def test_udp_ports_are_forwarded(galley: Galley, port: int, address: str) -> None:
    galley.docker("import", "--change", "ENV PYTHONHOME=/", "-", PYTHON, stdin=scripts_tar())
    words = ["run", "-d", "--name", "udp", "-p", f"{port}:53/udp", PYTHON]
    galley.docker(*words, "python", "-S", "-c", ECHO)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)

        def is_echoed(data: bytes = b"echo") -> bool:
            client.sendto(data, (address, port))
            try:
                answer, sender = client.recvfrom(100)
            except OSError:
                return False
            assert sender[:2] == (address, port)
            return answer == data

        galley.wait_for(is_echoed, "an answer comes back")
        client.settimeout(0.0)
        with contextlib.suppress(BlockingIOError):
            while client.recv(100):  # late answers
                continue
        client.settimeout(5.0)
        assert sum(is_echoed(b"%d" % number) for number in range(50)) >= 49
