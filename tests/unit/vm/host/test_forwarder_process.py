"""The forwarder process outlives its client, and ends with another process."""

import contextlib
import errno
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.connection import Client
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.unit.engine.bridge.servers import wait_until
from vm.errors import HostError
from vm.host import net, process
from vm.host.forwarder_client import ForwarderClient
from vm.host.forwarder_process import Carried, Request, Server, address

LATE = 20.0  # seconds; only a failure waits so long


class Scene:
    """A process that stands in for QEMU, a server that sends "hello", and clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.qemu = subprocess.Popen(["sleep", "1000"])
        self.server = socket.create_server(("127.0.0.1", 0))
        self.target = self.server.getsockname()
        self.listen = ("::1", net.free_port())
        threading.Thread(target=self._greet, daemon=True).start()

    def client(self) -> ForwarderClient:
        return ForwarderClient(self.folder, self.log, lambda: process.identify(self.qemu.pid))

    def open(self, client: ForwarderClient) -> Carried:
        client.open("tcp", self.listen, self.target)
        return Carried("tcp", self.listen, self.target)

    def is_running(self) -> bool:
        """Whether the forwarder process runs."""
        return Path(address(self.folder)).exists()

    def answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(self.listen, LATE) as connection,
        ):
            return connection.recv(100) == b"hello"
        return False

    def end(self) -> None:
        self.qemu.kill()
        self.qemu.wait()
        wait_until(lambda: not self.is_running())
        self.server.close()

    def _greet(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                with connection:
                    connection.sendall(b"hello")


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="galley-") as folder:  # short enough for a socket
        made = Scene(Path(folder))
        yield made
        made.end()


def test_no_process_is_started_without_a_port(scene: Scene) -> None:
    client = scene.client()
    assert client.carried() == ()
    client.close(Carried("tcp", scene.listen, scene.target))
    client.end()
    assert not scene.is_running()
    assert not scene.log.exists()


def test_a_new_client_finds_the_ports_of_an_earlier_one(scene: Scene) -> None:
    forward = scene.open(scene.client())
    assert scene.answers()
    other = scene.client()
    assert other.carried() == (forward,)
    scene.open(other)
    assert other.carried() == (forward,), "opening is idempotent"
    assert scene.answers()
    other.close(forward)
    assert other.carried() == ()
    assert not scene.answers()
    scene.open(other)
    assert scene.answers()
    other.end()
    assert not scene.answers()
    assert net.is_free(*scene.listen)


def test_the_client_that_started_the_process_reaps_it(scene: Scene) -> None:
    client = scene.client()
    scene.open(client)
    mine = psutil.Process().children()
    client.end()
    left = set(psutil.Process().children())
    assert len(set(mine) - left) == 1


def test_the_forwarder_process_ends_with_qemu(scene: Scene) -> None:
    scene.open(scene.client())
    scene.qemu.kill()
    scene.qemu.wait()
    wait_until(lambda: not scene.is_running())
    wait_until(lambda: net.is_free(*scene.listen))
    with pytest.raises(HostError, match="does not work") as raised:
        scene.open(scene.client())
    assert raised.value.details == "No virtual machine runs."


def test_a_killed_forwarder_process_is_replaced(scene: Scene) -> None:
    client = scene.client()
    forward = scene.open(client)
    line = f"vm.host.forwarder_process\0{scene.folder}\0".encode()
    pids = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if line in _read(path)
    ]
    (pid,) = pids
    identity = process.identify(pid)
    assert identity is not None
    process.end(identity, force=True)
    assert process.wait_gone(identity, LATE)
    assert client.carried() == ()
    assert scene.open(client) == forward
    assert scene.answers()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_port_in_use_is_reported_with_its_errno(scene: Scene) -> None:
    client = scene.client()
    message = os.strerror(errno.EADDRINUSE)
    with (
        socket.create_server(scene.listen, family=socket.AF_INET6),
        pytest.raises(OSError, match=message) as raised,
    ):
        scene.open(client)
    assert raised.value.errno == errno.EADDRINUSE
    assert client.carried() == ()


def test_each_protocol_has_its_own_target_and_a_new_target_replaces_it(scene: Scene) -> None:
    client = scene.client()
    forward = scene.open(client)
    client.open("udp", scene.listen, scene.target)
    udp = Carried("udp", scene.listen, scene.target)
    assert set(client.carried()) == {forward, udp}
    client.open("tcp", scene.listen, ("127.0.0.1", 9))
    assert set(client.carried()) == {udp, Carried("tcp", scene.listen, ("127.0.0.1", 9))}
    assert not scene.answers()


def test_an_invalid_request_changes_nothing(scene: Scene) -> None:
    client = scene.client()
    forward = scene.open(client)
    with Client(address(scene.folder)) as connection:
        connection.send_bytes(b"nonsense")
        with pytest.raises(EOFError):
            connection.recv_bytes()
    assert client.carried() == (forward,)


def test_the_process_exits_after_the_idle_timeout_without_ports() -> None:
    left = threading.Event()
    server = Server(left.set, idle=0.05)
    me = process.identify(os.getpid())
    assert me is not None
    forward = Carried("tcp", ("::1", net.free_port()), ("127.0.0.1", 9))
    server.answer(msgspec.json.encode(Request("open", forward)))
    threading.Thread(target=server.watch, args=(me,), daemon=True).start()
    assert not left.wait(0.3)
    server.answer(msgspec.json.encode(Request("close", forward)))
    assert left.wait(LATE)
