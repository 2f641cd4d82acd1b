"""Published ports, first form: they answer on 127.0.0.1 and follow the container."""

import json
import socket
import urllib.request

import pytest

from tests.e2e.galley import IMAGE, Galley
from vm.host import net

SERVE = "while true; do printf 'HTTP/1.0 200 OK\r\n\r\nserved' | nc -l -p 80; done"


@pytest.fixture
def port(galley: Galley) -> int:
    return net.free_port()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
            return bool(reply.read() == b"served")
    except OSError:
        return False


def _listens(port: int) -> bool:
    return not net.is_free("127.0.0.1", port)


def _serve(galley: Galley, port: int, name: str) -> None:
    words = ["run", "-d", "--name", name, "-p", f"{port}:80", IMAGE, "sh", "-c", SERVE]
    galley.docker(*words)


def test_a_port_follows_its_container(galley: Galley, port: int) -> None:
    _serve(galley, port, "web")
    galley.wait_for(lambda: _answers(port), "the port answers")
    listed = json.loads(galley.run("ports", "--json").stdout)
    row = next(row for row in listed if row["container"] == "web")
    assert row["forward"]["host_port"] == port
    galley.docker("stop", "-t", "0", "web")
    galley.wait_for(lambda: not _listens(port), "the port is closed")
    galley.docker("start", "web")
    galley.wait_for(lambda: _answers(port), "the port answers again")
    galley.docker("rm", "-f", "web")
    galley.wait_for(lambda: not _listens(port), "the port is closed for good")


def test_a_port_with_an_address_of_its_own(galley: Galley, port: int) -> None:
    words = ["run", "-d", "--name", "local", "-p", f"127.0.0.1:{port}:80", IMAGE]
    galley.docker(*words, "sh", "-c", SERVE)
    galley.wait_for(lambda: _answers(port), "the port answers")
    galley.docker("rm", "-f", "local")
    galley.wait_for(lambda: not _listens(port), "the port is closed")


def test_ports_come_back_with_the_engine(galley: Galley, port: int) -> None:
    _serve(galley, port, "lasting")
    galley.wait_for(lambda: _answers(port), "the port answers")
    galley.run("shell", "sh", "-c", "kill -9 $(pidof dockerd)")
    galley.wait_for(galley.answers, "dockerd is back")
    galley.wait_for(lambda: _answers(port), "the port answers after dockerd's death")
    galley.docker("rm", "-f", "lasting")
    galley.wait_for(lambda: not _listens(port), "the port is closed")


def test_udp_is_carried(galley: Galley, port: int) -> None:
    words = ["run", "-d", "--name", "udp", "-p", f"{port}:53/udp"]
    # The static busybox speaks no UDP; the guest's own netcat and libraries do.
    for folder in ("/usr:/usr", "/usr/lib:/lib", "/usr/lib64:/lib64"):
        words += ["-v", f"{folder}:ro"]
    echo = "mkfifo /p; nc.openbsd -u -l 53 < /p | cat > /p"
    galley.docker(*words, IMAGE, "sh", "-c", echo)
    galley.wait_for(lambda: b"udp" in galley.run("ports", "--json").stdout, "it is listed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"echo", ("127.0.0.1", port))
        assert client.recv(100) == b"echo"
    galley.docker("rm", "-f", "udp")


def test_a_taken_port_is_told_with_its_holder(galley: Galley) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        _serve(galley, taken, "late")
        galley.wait_for(lambda: bool(galley.status()["problems"]), "the problem is told")
        problem = galley.status()["problems"][0]
        assert str(taken) in problem["summary"]
        assert "python" in problem["summary"]
        assert problem["hint"]
    galley.docker("rm", "-f", "late")
    galley.wait_for(lambda: not galley.status()["problems"], "the problem is gone")
