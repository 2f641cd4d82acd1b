"""The guest's firewall rules for this computer's loopback, on this computer's own kernel.

Three network namespaces stand for QEMU's network, the machine and a container behind its bridge.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.guest.recipe import FILES

SERVICE, PROXY, PUBLISHED, NAMES = 8000, 3128, 8080, 53
LAN = "192.0.2.1"  # another address of this computer
SCRIPT = "/usr/lib/galley/host-loopback"
# Mounts the guest's files over those of this computer, and a file as the guest's console.
WORK = """
set -e
mount -t overlay -o "lowerdir=$1/usr/lib:/usr/lib" overlay /usr/lib
mount -t overlay -o "lowerdir=$1/skeleton/etc:/etc" overlay /etc
mount -t tmpfs run /run
mkdir /run/galley
mount -t cgroup2 none /sys/fs/cgroup
[ -e /dev/console ] || touch /dev/console
mount --bind "$2" /dev/console
shift 2
exec sh "$@"
"""
NETWORK = """
set -e
for one in host container; do ip link add $one type veth peer name eth0 netns $1-$one; done
ip link set container name bridge
ip link set host name eth0
ip address add 10.0.2.15/24 dev eth0
ip address add 172.17.0.1/16 dev bridge
ip -6 address add fec0::15/64 dev eth0 nodad
ip link set lo up
ip link set eth0 up
ip link set bridge up
ip route add default via 10.0.2.2
sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.eth0.route_localnet=1
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -o eth0 -j MASQUERADE
iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080
iptables -t nat -A PREROUTING -i eth0 -p udp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080
iptables -t nat -A OUTPUT -p udp -d 10.0.2.53 --dport 53 -j REDIRECT --to-ports 61053
"""
HOST = """
set -e
ip link set lo up
ip address add 10.0.2.2/24 dev eth0
ip address add 10.0.2.3/24 dev eth0
ip address add 10.0.2.9/24 dev eth0
ip address add 192.0.2.1/32 dev eth0
ip -6 address add fec0::2/64 dev eth0 nodad
ip link set eth0 up
sysctl -q -w net.ipv4.conf.eth0.route_localnet=1 net.ipv4.conf.all.rp_filter=0
ip link set eth0 address 02:00:00:00:00:02
"""
CONTAINER = """
set -e
ip link set lo up
ip address add 172.17.0.2/16 dev eth0
ip link set eth0 up
ip route add default via 172.17.0.1
"""
# Echo server on the given ports, for UDP on each of the comma-separated addresses.
SERVER = """
import selectors, socket, sys
ready = selectors.DefaultSelector()
for port in map(int, sys.argv[2:]):
    tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    ready.register(tcp, selectors.EVENT_READ, "accept")
    for address in sys.argv[1].split(","):
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.bind((address if address.count(":") > 1 else "::ffff:" + address, port))
        ready.register(udp, selectors.EVENT_READ, "answer")
print("ready", flush=True)
while True:
    for key, _ in ready.select():
        one = key.fileobj
        if key.data == "accept":
            ready.register(one.accept()[0], selectors.EVENT_READ, "echo")
        elif key.data == "answer":
            one.sendto(*one.recvfrom(100))
        else:
            data = one.recv(100)
            one.sendall(data)
            if not data:
                ready.unregister(one)
                one.close()
"""
# In a cgroup (or "-"), connects for each line: KIND ADDRESS PORT DEVICE. "again" reuses the last.
CLIENT = """
import socket, sys
if sys.argv[1] != "-":
    open(sys.argv[1] + "/cgroup.procs", "w").write("0")
held = None
for line in sys.stdin:
    try:
        if line != "again\\n":
            kind, address, port, device = line.split()
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            held = socket.socket(family, getattr(socket, kind))
            held.settimeout(3)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if device != "-":
                held.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            held.connect((address, int(port)))
        held.sendall(b"echo")
        print("reached" if held.recv(100) == b"echo" else "ended", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""
REFUSED = "ConnectionRefusedError"
FORBIDDEN = "PermissionError"  # for a datagram in the machine's own network


class Network:
    """The three namespaces and their processes. `console`: the guest's console output."""

    def __init__(self, folder: Path) -> None:
        self._name = f"galley-loopback-{os.getpid()}"
        self.console = folder / "console"
        self.console.touch()
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        self.cgroups = Path(next(one[1] for one in mounts if one[2] == "cgroup2"))
        self.engine, self.docker = self.cgroups / "engine", self.cgroups / self._name
        self._running: list[subprocess.Popen[str]] = []

    def make(self) -> None:
        for cgroup in (self.engine, self.docker):
            cgroup.mkdir(exist_ok=True)
        for name in ("guest", "host", "container"):
            subprocess.run(("ip", "netns", "add", f"{self._name}-{name}"), check=True)
        self.inside("guest", "sh", "-c", NETWORK, "sh", self._name)
        self.inside("host", "sh", "-c", HOST)
        self.inside("container", "sh", "-c", CONTAINER)
        self.serve("host", "10.0.2.2,10.0.2.3,fec0::2", SERVICE, PROXY, NAMES)
        self.serve("container", "172.17.0.2", PUBLISHED)
        self.serve("guest", "127.0.0.1,10.0.2.15", PUBLISHED + 1, 61053)

    def remove(self) -> None:
        for process in self._running:
            process.kill()
            process.communicate()
        for name in ("guest", "host", "container"):
            subprocess.run(("ip", "netns", "delete", f"{self._name}-{name}"), check=True)
        for cgroup in (self.engine, self.docker):
            cgroup.rmdir()

    def inside(self, name: str, *words: str) -> None:
        subprocess.run(self._enter(name, *words), check=True, timeout=60)

    def serve(self, name: str, addresses: str, *ports: int) -> None:
        server = self._start(name, SERVER, addresses, *map(str, ports))
        assert server.stdout
        assert server.stdout.readline() == "ready\n"

    def client(self, name: str, cgroup: Path | None = None) -> "Client":
        return Client(self._start(name, CLIENT, str(cgroup or "-")))

    def run_script(self, *words: str) -> None:
        """Run the guest's script with the guest's files."""
        script = ("unshare", "--mount", "sh", "-c", WORK, "sh", str(FILES), str(self.console))
        self.inside("guest", *script, SCRIPT, *words)

    def _start(self, name: str, program: str, *words: str) -> subprocess.Popen[str]:
        command = self._enter(name, sys.executable, "-S", "-c", program, *words)
        pipe = subprocess.PIPE
        self._running.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return self._running[-1]

    def _enter(self, name: str, *words: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._name}-{name}", *words]


class Client:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tcp(self, address: str, port: int, device: str = "-") -> str:
        return self._request(f"SOCK_STREAM {address} {port} {device}")

    def udp(self, address: str, port: int, device: str = "-") -> str:
        return self._request(f"SOCK_DGRAM {address} {port} {device}")

    def again(self) -> str:
        """Send on the last connection."""
        return self._request("again")

    def _request(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    made.make()
    yield made
    made.remove()


def test_a_container_is_refused_while_host_loopback_is_off(network: Network) -> None:
    container = network.client("container")
    assert container.tcp("10.0.2.2", SERVICE) == "reached"
    assert container.udp("10.0.2.2", SERVICE) == "reached"
    network.run_script("off")
    for address in ("10.0.2.2", "10.0.2.3", "10.0.2.9"):
        assert container.tcp(address, SERVICE) == REFUSED, address
        assert container.udp(address, SERVICE) == REFUSED, address
    assert container.tcp("10.0.2.2", NAMES) == REFUSED
    assert container.tcp("10.0.2.3", NAMES) == "reached"
    assert container.udp("10.0.2.3", NAMES) == "reached"
    assert container.tcp(LAN, SERVICE) == "reached"
    network.run_script("on")
    assert container.tcp("10.0.2.2", SERVICE) == "reached"
    assert "host-loopback on" in network.console.read_text().splitlines()[-1]


def test_an_established_connection_ends(network: Network) -> None:
    container = network.client("container")
    assert container.tcp("10.0.2.2", SERVICE) == "reached"
    network.run_script("off")
    assert container.again() != "reached"


def test_proxies_stay_reachable(network: Network) -> None:
    """Only the ports of the last call count."""
    container = network.client("container")
    network.run_script("off", str(PROXY), "9")
    assert network.console.read_text().strip().endswith(f"galley: host-loopback off {PROXY} 9")
    assert container.tcp("10.0.2.2", PROXY) == "reached"
    assert container.udp("10.0.2.2", PROXY) == REFUSED
    assert container.tcp("10.0.2.2", SERVICE) == REFUSED
    network.run_script("off")
    assert container.tcp("10.0.2.2", PROXY) == REFUSED


def test_published_ports_stay_reachable(network: Network) -> None:
    """Ports of a container behind the bridge, and of one in the machine's own network."""
    network.run_script("off")
    outside = network.client("host")
    for port in (PUBLISHED, PUBLISHED + 1):
        assert outside.tcp("10.0.2.15", port) == "reached"
        assert outside.again() == "reached"
        assert outside.udp("10.0.2.15", port) == "reached"


def test_only_containers_are_refused_in_the_machines_own_network(network: Network) -> None:
    network.run_script("off")
    for own in (network.client("guest", network.engine), network.client("guest", network.cgroups)):
        assert own.tcp("10.0.2.2", SERVICE) == "reached"
        assert own.tcp("fec0::2", SERVICE) == "reached"
    container = network.client("guest", network.docker)
    assert container.tcp("10.0.2.2", SERVICE) == REFUSED
    assert container.udp("10.0.2.2", SERVICE) == FORBIDDEN
    assert container.tcp("fec0::2", SERVICE) == REFUSED
    assert container.udp("fec0::2", SERVICE) == FORBIDDEN
    assert container.tcp("127.0.0.1", SERVICE, "eth0") == REFUSED
    assert container.udp("255.255.255.255", SERVICE) == FORBIDDEN
    assert container.tcp("127.0.0.1", PUBLISHED + 1) == "reached"
    assert container.udp("10.0.2.53", NAMES) == "reached"
    assert container.tcp(LAN, SERVICE) == "reached"
