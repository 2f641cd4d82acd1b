"""The host stops in the middle of a freeze, and the stream's port is full: the disk thaws."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.bridge.servers import wait_until
from tests.unit.vm.conftest import LONGEST, build_keeper
from tests.unit.vm.conftest import Machine as KeeperMachine
from tests.unit.vm.guest.stream.port import Port, Server
from vm.guest.stream.frames import MAGIC, NUMBER, ZEROS, Kind, packed

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs
KEEPER, FLOOD = 1, 2  # channels


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[KeeperMachine]:
    made = KeeperMachine(build_keeper(tmp_path), tmp_path)
    made.connect().close()
    yield made
    made.kill()


@pytest.fixture
def port(program: Path) -> Iterator[Port]:
    made = Port(program)
    yield made
    made.close()


@pytest.fixture
def flood(tmp_path: Path) -> Iterator[str]:
    def send(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(bytes(65536))

    server = Server(tmp_path / "flood", send)
    yield server.path
    server.close()


def hello(number: int) -> bytes:
    return MAGIC + NUMBER.pack(number) + b"of this test"


def test_the_disk_thaws(port: Port, keeper: KeeperMachine, flood: str) -> None:
    session = 1
    port.exchange(ZEROS + hello(session), hello(session))
    opening = packed(session, KEEPER, Kind.OPEN, str(keeper.path).encode())
    port.exchange(opening, packed(session, KEEPER, Kind.OPENED, b""))
    flooding = [
        packed(session, channel, Kind.OPEN, flood.encode()) for channel in range(FLOOD, FLOOD + 4)
    ]
    port.exchange(b"".join(flooding), b"")
    wait_until(port.is_full)
    port.exchange(packed(session, KEEPER, Kind.DATA, b"freeze\n"), b"")
    keeper.wait("frozen", True)
    assert keeper.wait("frozen", False) < LONGEST * 3
    assert port.is_full(), "still"
    port.exchange(ZEROS + hello(2), hello(2))
    wait_until(lambda: not (keeper.kernel / "frozen").exists())
