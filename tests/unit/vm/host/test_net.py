"""Ports of the host, held by real sockets."""

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
def test_the_holder_of_a_port_is_found_by_its_address(address: str) -> None:
    """Another program may have the same port on another address."""
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


def test_a_server_on_all_addresses_holds_each_of_them() -> None:
    with socket.create_server(("0.0.0.0", 0)) as held:
        assert f"(pid {os.getpid()})" in net.holder("127.0.0.1", held.getsockname()[1]).english


@pytest.mark.parametrize("is_listed", [True, False])
def test_taken_ports_of_a_range_are_found(is_listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a server on one of the addresses or on all; without a list of the system, by binding."""

    def refuse(kind: str) -> list[object]:
        raise psutil.AccessDenied

    if not is_listed:
        monkeypatch.setattr(psutil, "net_connections", refuse)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        around = range(port, port + 1)
        assert net.taken(("127.0.0.1", "::1"), around) == {port}
        assert net.taken(("0.0.0.0",), around) == {port}
        assert net.taken(("127.0.0.2",), around) == set()
        assert net.taken(("127.0.0.1",), around, "udp") == set()
    assert net.taken(("127.0.0.1",), around) == set()


OTHER_PROCESS = """
import socket, sys
port, there = map(int, sys.argv[1:])
with socket.create_connection(("127.0.0.1", there), source_address=("127.0.0.2", port)) as made:
    made.recv(1)
"""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_process_at_the_other_end_is_recognized(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with (
        socket.create_server((address, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
        server.accept()[0] as near,
    ):
        assert net.is_with(os.getpid(), near)
        assert net.is_with(os.getpid(), client)
        assert not net.is_with(os.getppid(), near)


def test_the_same_port_on_another_address_belongs_to_another_process() -> None:
    """This process listens on that port, and also has a connection from it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as listens,
        socket.create_connection(listens.getsockname()) as outward,
        listens.accept()[0],
    ):
        for held in (listens, outward):
            ports = [str(held.getsockname()[1]), str(server.getsockname()[1])]
            with subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, *ports]) as other:
                near, (_, port) = server.accept()
                with near:
                    assert port == held.getsockname()[1]
                    assert not net.is_with(os.getpid(), near)
                    assert net.is_with(other.pid, near)


def test_each_reason_of_a_failed_bind_has_its_message() -> None:
    taken = net.bind_failed("127.0.0.1", 80, "tcp", errno.EADDRINUSE, "")
    assert isinstance(taken, PortInUse)
    reserved = net.bind_failed("127.0.0.1", 80, "tcp", errno.EACCES, "no")
    assert isinstance(reserved, BackendFailed)
    assert "reserved for the administrator" in reserved.summary
    foreign = net.bind_failed("192.0.2.1", 80, "tcp", errno.EADDRNOTAVAIL, "no")
    assert "belongs to this computer" in foreign.hint


UNPRIVILEGED = """
import os
from vm.host import net
if os.geteuid() == 0:
    os.unshare(os.CLONE_NEWNET)  # there, ports below 1024 are privileged
    os.setuid(65534)
code = net.bind_error("0.0.0.0", 80)
error = net.bind_failed("0.0.0.0", 80, "tcp", code, os.strerror(code or 0))
print(type(error).__name__, error.summary, error.details, sep="\\n")
"""


def test_a_privileged_port_is_refused_to_ordinary_users() -> None:
    """The kernel refuses it."""
    done = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [
        "BackendFailed",
        "Port 80/tcp on 0.0.0.0 is reserved for the administrator.",
        "Permission denied",
    ]


def test_a_port_that_windows_reserves_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        reserved_range = net.bind_failed("127.0.0.1", 50100, "udp", errno.EACCES, "10013")
        taken = net.bind_failed("127.0.0.1", 50100, "udp", errno.EADDRNOTAVAIL, "10049")
    assert reserved_range.summary == "Port 50100/udp on 127.0.0.1 is reserved by Windows."
    assert reserved_range.hint.endswith("netsh interface ipv4 show excludedportrange protocol=udp")
    assert "Windows" not in taken.summary
