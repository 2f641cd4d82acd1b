"""Which ports dockerd is kept from; that it passes them over, the e2e tests show."""

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


def asked(*bindings: Binding, every: bool = False) -> InspectedContainer:
    return InspectedContainer("1", InspectedHostConfig({"80/tcp": bindings}, "bridge", every))


def test_what_dockerd_has_to_choose() -> None:
    assert list(choices(asked(Binding("", "8080")), DEFAULT)) == []
    assert list(choices(asked(Binding("", "")), DEFAULT)) == [Choice("tcp", DEFAULT, ANY)]
    within = asked(Binding("127.0.0.2", "8000-8010"))
    assert list(choices(within, DEFAULT)) == [Choice("tcp", ("127.0.0.2",), range(8000, 8011))]
    assert {choice.protocol for choice in choices(asked(every=True), DEFAULT)} == {"tcp", "udp"}


class Holder:
    """The guest's end: what it was sent, and whether the host is still connected."""

    def __init__(self) -> None:
        self.ours, self._its = socket.socketpair()
        self.lines: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def dial(self) -> Stream:
        return SocketStream(self.ours)

    def _serve(self) -> None:
        with self._its, self._its.makefile("rw") as file:
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
    release = reserved.hold(asked(Binding("", f"{taken}-{taken}")), DEFAULT)
    assert holder.lines == [f"tcp {taken}"]
    assert not holder.ended.is_set()
    release()
    assert holder.ended.wait(5)


def test_a_port_of_a_container_is_dockerds_affair(taken: int) -> None:
    """It knows of it; and held by us, the container that is to have it could not start."""

    def nobody() -> Stream:
        raise AssertionError("nothing is to be held")

    reserved = ReservedPorts(nobody, lambda: frozenset({("tcp", taken)}))
    reserved.hold(asked(Binding("", f"{taken}-{taken}")), DEFAULT)()


def test_a_failure_to_list_used_ports_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> set[int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(net, "taken", full)
    holder = Holder()
    ReservedPorts(holder.dial, lambda: frozenset()).hold(asked(Binding("", "")), DEFAULT)()
    assert holder.lines == []


def test_a_guest_without_the_program_is_no_obstacle(taken: int) -> None:
    def refused() -> Stream:
        raise ConnectionRefusedError

    ReservedPorts(refused, lambda: frozenset()).hold(asked(Binding("", f"1-{taken}")), DEFAULT)()
