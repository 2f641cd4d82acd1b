"""Which ports are reserved against dockerd's choice; e2e tests show that dockerd skips them."""

import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from engine.ports.published_spec import Binding, InspectedContainer, InspectedHostConfig
from engine.ports.reserved_ports import ANY, Choice, ReservedPorts, choices
from vm.guest.protocol import Stream
from vm.host import net

DEFAULT = ("127.0.0.1", "::1")


def inspected(*bindings: Binding, every: bool = False) -> InspectedContainer:
    return InspectedContainer("1", InspectedHostConfig({"80/tcp": bindings}, "bridge", every))


def test_ports_that_dockerd_chooses() -> None:
    assert list(choices(inspected(Binding("", "8080")), DEFAULT)) == []
    assert list(choices(inspected(Binding("", "")), DEFAULT)) == [Choice("tcp", DEFAULT, ANY)]
    within = inspected(Binding("127.0.0.2", "8000-8010"))
    assert list(choices(within, DEFAULT)) == [Choice("tcp", ("127.0.0.2",), range(8000, 8011))]
    assert {choice.protocol for choice in choices(inspected(every=True), DEFAULT)} == {"tcp", "udp"}


class Holder:
    """The guest's port holder: the lines received, and whether the host is still connected."""

    def __init__(self) -> None:
        self.host_end, self._guest_end = socket.socketpair()
        self.lines: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def dial(self) -> Stream:
        return SocketStream(self.host_end)

    def _serve(self) -> None:
        with self._guest_end, self._guest_end.makefile("rw") as file:
            for line in iter(file.readline, "\n"):
                self.lines.append(line.strip())
            file.write("held\n")
            file.flush()
            file.readline()
        self.ended.set()


class SocketStream:
    def __init__(self, socket: socket.socket) -> None:
        self._socket = socket
        self.recv, self.sendall, self.close = socket.recv, socket.sendall, socket.close

    def shutdown_write(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_port_in_use_is_reserved_until_it_is_released(taken: int) -> None:
    holder = Holder()
    reserved = ReservedPorts(holder.dial, lambda: frozenset())
    release = reserved.hold(inspected(Binding("", f"{taken}-{taken}")), DEFAULT)
    assert holder.lines == [f"tcp {taken}"]
    assert not holder.ended.is_set()
    release()
    assert holder.ended.wait(5)


def test_a_port_of_a_container_is_not_reserved(taken: int) -> None:
    """dockerd skips it by itself, and a reservation would keep its container from starting."""

    def unused() -> Stream:
        raise AssertionError("no port is to be reserved")

    reserved = ReservedPorts(unused, lambda: frozenset({("tcp", taken)}))
    reserved.hold(inspected(Binding("", f"{taken}-{taken}")), DEFAULT)()


def test_a_failure_to_list_used_ports_reserves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> set[int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(net, "taken", full)
    holder = Holder()
    ReservedPorts(holder.dial, lambda: frozenset()).hold(inspected(Binding("", "")), DEFAULT)()
    assert holder.lines == []


def test_a_guest_without_the_port_holder_reserves_nothing(taken: int) -> None:
    def refused() -> Stream:
        raise ConnectionRefusedError

    ReservedPorts(refused, lambda: frozenset()).hold(
        inspected(Binding("", f"1-{taken}")), DEFAULT
    )()
