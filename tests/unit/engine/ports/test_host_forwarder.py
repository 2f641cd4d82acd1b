"""Ports on IPv6 are forwarded to the backend's IPv4 ports, also by the next supervisor."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from engine.ports.host_forwarder import HostForwarder
from tests.unit.engine.ports.conftest import Backend
from vm.backend import Backend as RealBackend
from vm.directory import MachineDir
from vm.errors import PortInUse
from vm.host import net
from vm.host.paths import Home
from vm.types import Forward


class Listening(Backend):
    """Serves each forwarded port here: a connection reads the number of its guest port."""

    def __init__(self) -> None:
        super().__init__()
        self._servers: dict[Forward, socket.socket] = {}

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        super().forward(directory, forward)
        server = socket.create_server((forward.host_address, forward.host_port))
        self._servers[forward] = server
        threading.Thread(target=self._serve, args=(server, forward), daemon=True).start()

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        super().unforward(directory, forward)
        if (server := self._servers.pop(forward, None)) is not None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()

    def close(self) -> None:
        for forward in list(self._servers):
            self.unforward(MachineDir(Path(), Path(), Path()), forward)

    @staticmethod
    def _serve(server: socket.socket, forward: Forward) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(str(forward.guest_port).encode())


@pytest.fixture
def backend() -> Iterator[Listening]:
    made = Listening()
    yield made
    made.close()


@pytest.fixture
def forwarders(home: Home, backend: Listening) -> Iterator[tuple[HostForwarder, HostForwarder]]:
    """The forwarders of this supervisor and the next."""
    directory = MachineDir.of(home)
    directory.logs.mkdir(parents=True, exist_ok=True)
    directory.run.mkdir(parents=True, exist_ok=True)
    both = [HostForwarder(cast(RealBackend, backend), directory) for _ in range(2)]
    yield both[0], both[1]
    both[1].forget()


def read_from(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), 10) as connection:
            return connection.recv(100).decode()
    except OSError:
        return ""


def test_the_next_supervisor_takes_over_both_addresses(
    forwarders: tuple[HostForwarder, HostForwarder], backend: Listening
) -> None:
    first, second = forwarders
    port, alone = net.free_port(), net.free_port()
    wanted = {
        Forward("127.0.0.1", port, 80),
        Forward("::1", port, 80),
        Forward("::1", alone, 81),  # its guest port has no IPv4 address here
    }
    for forward in sorted(wanted):
        first.forward(forward)
    assert first.forwarded() == wanted
    assert second.forwarded() == wanted
    assert [read_from("::1", port), read_from("::1", alone)] == ["80", "81"]
    for forward in wanted:
        second.unforward(forward)
    assert second.forwarded() == set()
    assert backend.carried == set(), "the backend's IPv4 port is closed too"
    assert not read_from("::1", port)
    assert net.is_free("::1", alone)


def test_one_address_of_two_is_closed_at_once(
    forwarders: tuple[HostForwarder, HostForwarder],
) -> None:
    port = net.free_port()
    both = [Forward(address, port, 80) for address in ("127.0.0.1", "::1")]
    for forward in both:
        forwarders[0].forward(forward)
    forwarders[0].unforward(both[1])
    assert net.is_free("::1", port)
    assert forwarders[0].forwarded() == {both[0]}


def test_an_ipv6_port_is_forwarded_to_the_ipv4_loopback(
    forwarders: tuple[HostForwarder, HostForwarder],
) -> None:
    port = net.free_port()
    others = {Forward(f"127.0.0.{last}", port, 80 + last) for last in range(2, 10)}
    wanted = {Forward("127.0.0.1", port, 80), Forward("::1", port, 80), *others}
    for forward in sorted(wanted):
        forwarders[0].forward(forward)
    assert forwarders[1].forwarded() == wanted
    assert read_from("::1", port) == "80"


def test_a_port_in_use_is_an_error_and_leaves_no_forward(
    forwarders: tuple[HostForwarder, HostForwarder], backend: Listening
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortInUse, match=f"{port}/tcp on ::1 is already in use"):
            forwarders[0].forward(Forward("::1", port, 80))
    assert backend.carried == set()
    assert forwarders[0].forwarded() == set()


def test_a_listener_whose_ipv4_port_is_closed_is_closed(
    forwarders: tuple[HostForwarder, HostForwarder], backend: Listening
) -> None:
    port = net.free_port()
    for address in ("127.0.0.1", "::1"):
        forwarders[0].forward(Forward(address, port, 80))
    backend.unforward(MachineDir(Path(), Path(), Path()), Forward("127.0.0.1", port, 80))
    assert forwarders[1].forwarded() == set()
    assert net.is_free("::1", port)


def test_forget_closes_all(forwarders: tuple[HostForwarder, HostForwarder]) -> None:
    port = net.free_port()
    for address in ("127.0.0.1", "::1"):
        forwarders[0].forward(Forward(address, port, 80))
    forwarders[1].forget()
    assert net.is_free("::1", port)
