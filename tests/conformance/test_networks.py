"""Networks, names and addresses of containers, and published ports.

Next: `../../engine/ports/`.
"""

import socket
from functools import partial
from typing import Any

from tests.conformance.engines import IMAGE, Engine
from tests.conformance.suite import Answers, on_both
from vm.host import net

POOL = {"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.9", "IPRange": "10.77.0.128/25"}
BRIDGE = "com.docker.network"
LINK = "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu"
DNS = ("--dns", "127.0.0.1")  # in the container: dockerd forwards no query for an unknown name
SERVE = "echo $0 > /index.html; exec httpd -f -p 80 -h /"  # $0: the page


def _serves(engine: Engine, name: str, *options: str, port: str = "") -> None:
    published = ("-p", port) if port else ()
    words = ("run", "-d", "--name", name, *published, *options, IMAGE, "sh", "-c", SERVE, name)
    engine.docker(*words, ok=True)


def _echo(engine: Engine, port: int) -> bytes:
    """The reply of a UDP port of this computer, once there is one."""

    def echo() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.connect(("127.0.0.1", port))
            try:
                client.send(b"hello")
                return client.recv(100)
            except OSError:
                return b""

    return engine.eventually(echo, bool)


@on_both
def test_networks(engine: Engine, answer: Answers) -> None:
    create = "/networks/create"
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "inside": {"Internal": True},
        "chosen": {
            "IPAM": {"Config": [POOL]},
            "Labels": {"a": "b"},
            "Attachable": True,
            "Options": {f"{BRIDGE}.bridge.name": "conform0", f"{BRIDGE}.driver.mtu": "1400"},
        },
        "six": {"EnableIPv6": True, "IPAM": {"Config": [{"Subnet": "fd00:77::/64"}]}},
        "mac": {"Driver": "macvlan", "Options": {"parent": "eth0"}},
    }
    for name, config in kinds.items():
        made = engine.request("POST", create, {"Name": name, **config})
        answer(f"{name}: made", {"status": made.status, "warning": made.json.get("Warning")})
        found = engine.inspect(name, "networks")
        answer.some(
            f"{name}",
            found,
            "Driver",
            "Scope",
            "EnableIPv6",
            "IPAM",
            "Internal",
            "Attachable",
            "Options",
            "Labels",
        )
    overlap = {"Name": "second", "IPAM": {"Config": [{"Subnet": "10.77.0.0/16"}]}}
    answer("overlap", engine.request("POST", create, overlap).verdict)
    answer("twice", engine.docker("network create plain").all)
    address = "--ip 10.77.0.77 --mac-address 02:00:00:00:00:07"
    engine.docker(f"run -d --name fixed --network chosen {address} {IMAGE}", ok=True)
    answer(
        "fixed address",
        engine.shell("fixed", f"ip -o a show eth0 | grep -o 'inet [^ ]*'; ip r; {LINK}").out,
    )
    answer("wrong address", engine.once("--network chosen --ip 10.78.0.1").all)
    answer("no subnet", engine.once("--network plain --ip 10.78.0.1").all)
    answer("in use", engine.docker("network rm chosen").all)
    answer("six", engine.once("--network six", line="ip -6 -o a show eth0 | grep -o fd00.*64").all)
    inside = "ip r | wc -l; ls /sys/class/net | tr '\\n' ' '"
    for mode in ("none", "container:fixed"):
        answer(f"mode {mode}", engine.once("--network", mode, line=inside).all)
    answer(
        "list",
        engine.docker(
            "network ls -f driver=bridge --format '{{.Name}} {{.Internal}} {{.IPv6}}'"
        ).all,
    )
    answer("pruned", sorted(engine.request("POST", "/networks/prune").json["NetworksDeleted"]))
    answer("gone", engine.docker("network inspect six").all)


@on_both
def test_names(engine: Engine, answer: Answers) -> None:
    for name in ("front", "back"):
        engine.docker("network create", name, ok=True)
    _serves(engine, "web", "--network", "front", "--network-alias", "www", "--hostname", "host")
    engine.docker("run -d --name client --network front --link web:linked", *DNS, IMAGE, ok=True)

    def fetch(name: str) -> str:
        line = f"wget -T 5 -qO - http://{name}/ 2>&1"
        return engine.shell("client", line).out

    for name in ("web", "www", "linked", "web.front"):
        answer(
            f"ask {name}",
            engine.eventually(partial(fetch, name), lambda page: "refused" not in page),
        )
    answer(
        "resolver", engine.docker("exec client grep -v '^#' /etc/resolv.conf").out.splitlines()[0]
    )
    for step in (
        ("connect", "--alias", "late", "back", "web"),
        ("connect", "back", "client"),
        ("disconnect", "front", "client"),
    ):
        answer(" ".join(step), engine.docker("network", *step).all)
        answer(
            f"{step[0]} {step[-2]} {step[-1]}: networks",
            sorted(engine.inspect(step[-1])["NetworkSettings"]["Networks"]),
        )
        answer(f"{step[0]} {step[-2]} {step[-1]}: www", "web" in fetch("www"))
    answer("late", fetch("late"))
    answer("aliases", engine.inspect("web")["NetworkSettings"]["Networks"]["front"]["Aliases"])
    answer("again", engine.docker("network connect back client").all)
    answer("not a member", engine.docker("network disconnect front client").all)
    answer(
        "gateway",
        engine.docker(
            "run --rm --add-host gate:host-gateway", IMAGE, "grep", "-c", "gate", "/etc/hosts"
        ).all,
    )


@on_both
def test_published_ports(engine: Engine, answer: Answers) -> None:
    one, two, three = (net.free_port() for _ in range(3))
    _serves(engine, "loop", port=f"127.0.0.1:{one}:80")
    _serves(engine, "every", port=f"{two}:80")
    _serves(engine, "random", port="80")
    ports = {str(one): "<one>", str(two): "<two>", str(three): "<three>"}

    def hide(text: str) -> str:
        for port, name in ports.items():
            text = text.replace(port, name)
        return text

    chosen = engine.docker("port random 80").out.splitlines()[0].rpartition(":")[2]
    ports[chosen] = "<chosen>"
    for name, port in (("loop", one), ("every", two), ("random", chosen)):
        answer(f"{name}: page", engine.page(port))
        answer(f"{name}: docker port", hide(engine.docker("port", name).out))
        answer(
            f"{name}: ps",
            hide(engine.docker("ps -f", f"name={name}", "--format", "{{.Ports}}").out),
        )
        listed = engine.inspect(name)
        answer(f"{name}: bindings", hide(str(listed["HostConfig"]["PortBindings"])))
        answer(f"{name}: ports", hide(str(listed["NetworkSettings"]["Ports"])))
    answer("every: IPv6", engine.page(two, "::1"))
    answer("loop: IPv6", engine.page(one, "::1", "refused"))
    taken = engine.docker("run --name late -p", f"127.0.0.1:{one}:80", IMAGE, "true")
    answer("taken", {"code": taken.code, "out": taken.out})
    answer("taken: state", engine.inspect("late")["State"]["Status"])
    engine.docker("restart -t 0 loop", ok=True)
    answer("restarted", engine.page(one))
    answer("another, meanwhile", engine.page(two))
    engine.docker("kill every", ok=True)
    answer("ended", engine.page(two, wanted="refused"))
    answer("another, after it", engine.page(one))
    answer("no such port", engine.docker("port loop 81").all)
    _serves(engine, "six", port=f"[::1]:{three}:80")
    answer("six", engine.page(three, "::1"))
    answer("six: IPv4", engine.page(three, "127.0.0.1", "refused"))


@on_both
def test_a_range_and_udp(engine: Engine, answer: Answers) -> None:
    port = net.free_port()
    published = ("run", "-d", "--name", "datagrams", "-p", f"127.0.0.1:{port}:53/udp")
    engine.docker(*published, IMAGE, "probe", "udp", "53", ok=True)
    answer("UDP", _echo(engine, port))
    answer("UDP: ports", list(engine.inspect("datagrams")["NetworkSettings"]["Ports"]))
    engine.docker("run -d --name range -p 80-82 --expose 90", IMAGE, ok=True)
    answer("range", sorted(engine.inspect("range")["NetworkSettings"]["Ports"]))
    engine.docker("run -d --name all -P --expose 80 --expose 53/udp", IMAGE, ok=True)
    found = engine.inspect("all")["NetworkSettings"]["Ports"]
    answer(
        "all", {name: [bound["HostIp"] for bound in bindings] for name, bindings in found.items()}
    )
    for words in ("1:2:3:4", "80:odd", "x:80", "80-81:90", "127.0.0.1:80:80/odd", "1-3:1-2"):
        answer(f"-p {words}", engine.docker("create -p", words, IMAGE).all)


@on_both
def test_a_port_beside_an_internal_network(engine: Engine, answer: Answers) -> None:
    """The internal network is first by name, and is not reachable from outside."""
    engine.docker("network create --internal a-inside", ok=True)
    engine.docker("network create b-outside", ok=True)
    port = net.free_port()
    words = ("create", "--name", "joined", "--network", "a-inside", "-p", f"127.0.0.1:{port}:80")
    engine.docker(*words, IMAGE, "sh", "-c", SERVE, "joined", ok=True)
    engine.docker("network connect b-outside joined", ok=True)
    engine.docker("start joined", ok=True)
    answer("page", engine.page(port, wanted="joined"))
    engine.docker("network disconnect a-inside joined", ok=True)
    answer("without it", engine.page(port, wanted="joined"))
    engine.docker("network connect a-inside joined", ok=True)
    answer("with it again", engine.page(port, wanted="joined"))
    line = "wget -T 2 -qO - http://192.0.2.1/ 2>&1"
    answer("no way out", engine.once("--network a-inside", line=line).all)


@on_both
def test_the_host_network(engine: Engine, answer: Answers) -> None:
    ports: dict[str, Any] = {"every": net.free_port(), "loopback": net.free_port()}
    for name, address in (("every", "0.0.0.0"), ("loopback", "127.0.0.1")):
        serve = f"echo {name} > /index.html; exec httpd -f -p {address}:{ports[name]} -h /"
        engine.start(name, "sh", "-c", serve, HostConfig={"NetworkMode": "host"})
        answer(f"{name}: page", engine.page(ports[name], wanted=name))
        answer(f"{name}: networks", list(engine.inspect(name)["NetworkSettings"]["Networks"]))
        engine.docker("kill", name, ok=True)
        answer(f"{name}: ended", engine.page(ports[name], wanted="refused"))
    datagrams = net.free_port()
    engine.start("udp", "probe", "udp", str(datagrams), HostConfig={"NetworkMode": "host"})
    answer("UDP", _echo(engine, datagrams))
    answer("published", engine.once("--network host -p 80:80").all)
