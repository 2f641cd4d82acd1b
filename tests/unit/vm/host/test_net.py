"""Ports of this computer, held by real sockets."""

import errno
import os
import socket
import subprocess
import sys

import psutil
import pytest

from vm.errors import BackendFailed, PortInUse
from vm.host import net


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_holder_has_the_port_on_that_address(address: str) -> None:
    """Another program may have the same port on another one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as held:
        port = held.getsockname()[1]
        assert f"(pid {os.getpid()})" in net.holder(address, port).english
        assert f"(pid {os.getpid()})" in net.holder("0.0.0.0", port).english
        assert net.holder("127.0.0.2", port).code == "port.holder_hidden"
        assert net.bind_error(address, port) == errno.EADDRINUSE
    assert net.is_free(address, port)


@pytest.mark.parametrize(
    ("address", "port"),
    [("127.0.0.1", 99999999), ("127.0.0.1", -1), ("127.0.0.1\0", 80), ("é..b", 80)],
)
def test_an_invalid_address_or_port_cannot_be_bound(address: str, port: int) -> None:
    assert net.bind_error(address, port) == errno.EINVAL


def test_a_server_for_every_address_holds_each() -> None:
    with socket.create_server(("0.0.0.0", 0)) as held:
        assert f"(pid {os.getpid()})" in net.holder("127.0.0.1", held.getsockname()[1]).english


@pytest.mark.parametrize("is_told", [True, False])
def test_which_of_many_are_taken(is_told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one of the addresses, or by who serves all; where the system does not tell, by trying."""

    def refuse(kind: str) -> list[object]:
        raise psutil.AccessDenied

    if not is_told:
        monkeypatch.setattr(psutil, "net_connections", refuse)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        around = range(port, port + 1)
        assert net.taken(("127.0.0.1", "::1"), around) == {port}
        assert net.taken(("0.0.0.0",), around) == {port}
        assert net.taken(("127.0.0.2",), around) == set()
        assert net.taken(("127.0.0.1",), around, "udp") == set()
    assert net.taken(("127.0.0.1",), around) == set()


STRANGER = """
import socket, sys
port, there = map(int, sys.argv[1:])
with socket.create_connection(("127.0.0.1", there), source_address=("127.0.0.2", port)) as made:
    made.recv(1)
"""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_process_at_the_other_end(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with (
        socket.create_server((address, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
        server.accept()[0] as near,
    ):
        assert net.is_with(os.getpid(), near)
        assert net.is_with(os.getpid(), client)
        assert not net.is_with(os.getppid(), near)


def test_the_same_port_on_another_address_is_another_process() -> None:
    """The process listens on that port, and has a connection from it, too."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as listens,
        socket.create_connection(listens.getsockname()) as outward,
        listens.accept()[0],
    ):
        for held in (listens, outward):
            words = [str(held.getsockname()[1]), str(server.getsockname()[1])]
            with subprocess.Popen([sys.executable, "-c", STRANGER, *words]) as stranger:
                near, (_, port) = server.accept()
                with near:
                    assert port == held.getsockname()[1]
                    assert not net.is_with(os.getpid(), near)
                    assert net.is_with(stranger.pid, near)


def test_each_reason_has_its_sentence() -> None:
    taken = net.bind_failed("127.0.0.1", 80, "tcp", errno.EADDRINUSE, "")
    assert isinstance(taken, PortInUse)
    reserved = net.bind_failed("127.0.0.1", 80, "tcp", errno.EACCES, "no")
    assert isinstance(reserved, BackendFailed)
    assert "reserved for the administrator" in reserved.summary
    foreign = net.bind_failed("192.0.2.1", 80, "tcp", errno.EADDRNOTAVAIL, "no")
    assert "belongs to this computer" in foreign.hint


AS_NOBODY = """
import os
from vm.host import net
if os.geteuid() == 0:
    os.unshare(os.CLONE_NEWNET)  # where nobody has said who may have which ports
    os.setuid(65534)
code = net.bind_error("0.0.0.0", 80)
error = net.bind_failed("0.0.0.0", 80, "tcp", code, os.strerror(code or 0))
print(type(error).__name__, error.summary, error.details, sep="\\n")
"""


def test_a_port_that_is_the_administrators_is_refused_to_others() -> None:
    """By the kernel itself."""
    done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [
        "BackendFailed",
        "Port 80/tcp on 0.0.0.0 is reserved for the administrator.",
        "Permission denied",
    ]


def test_windows_has_ranges_that_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        kept = net.bind_failed("127.0.0.1", 50100, "udp", errno.EACCES, "10013")
        taken = net.bind_failed("127.0.0.1", 50100, "udp", errno.EADDRNOTAVAIL, "10049")
    assert kept.summary == "Port 50100/udp on 127.0.0.1 is reserved by Windows."
    assert kept.hint.endswith("netsh interface ipv4 show excludedportrange protocol=udp")
    assert "Windows" not in taken.summary
