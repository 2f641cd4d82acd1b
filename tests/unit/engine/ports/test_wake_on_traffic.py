"""Who comes to a port of a machine that sleeps is led to it, and never to ourselves."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.ports import wake_on_traffic as module
from engine.ports.wake_on_traffic import Knocks
from vm.capabilities import WakesOnTraffic
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host import net
from vm.types import Forward, MachineState

LATE = 10.0  # seconds; only a failure waits so long
HERE = "127.0.0.1"


class Ear(WakesOnTraffic):
    """A backend's network, which tells who comes."""

    def __init__(self) -> None:
        self.knock = threading.Semaphore(0)
        self.failures = 0
        self.waits = threading.Semaphore(0)

    def wait(self, directory: MachineDir, listening: Callable[[], None]) -> bool:
        if self.failures:
            self.failures -= 1
            raise BackendFailed("QEMU does not tell who comes.")
        listening()
        self.waits.release()
        return self.knock.acquire(timeout=LATE)


class Scene:
    """A machine whose state is told, and that has its ports once it runs."""

    def __init__(self, folder: Path) -> None:
        self.directory = MachineDir(folder, folder / "logs", folder / "run")
        self.ear = Ear()
        self.port = net.free_port()
        self.forward = Forward(HERE, self.port, 65535)
        self.comers = threading.Semaphore(0)  # who want it awake
        self.is_back = threading.Event()
        self.state = MachineState.RUNNING
        self.knocks = Knocks(self.directory, self.ear, self._awake, self._until_it_is_back)

    def tell(self, state: MachineState) -> None:
        self.state = state
        self.knocks.follow(state, [self.forward])

    def auto_suspend(self) -> None:
        self.directory.auto_suspended.touch()
        self.tell(MachineState.STOPPING)
        self.tell(MachineState.STOPPED)

    def come_back(self, guest_port: int = 65535) -> socket.socket:
        """With the port, wherever it leads in there."""
        self.tell(MachineState.STARTING)
        self.knocks.leave(Forward(HERE, self.port, guest_port))
        served = socket.create_server((HERE, self.port))
        served.settimeout(LATE)
        self.tell(MachineState.RUNNING)
        self.is_back.set()
        return served

    def connect(self) -> socket.socket:
        return socket.create_connection((HERE, self.port), LATE)

    def _awake(self) -> None:
        """As the saver does it: whose start is under way is for `rest` to wait for."""
        self.comers.release()

    def _until_it_is_back(self) -> None:
        assert self.is_back.wait(LATE)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.ear.knock.release(2)
    made.knocks.close()


def test_a_knock_wakes_and_each_pause_is_listened_in(scene: Scene) -> None:
    for _ in range(2):
        scene.tell(MachineState.PAUSED)
        assert scene.knocks.is_ready()
        assert not scene.comers.acquire(blocking=False)
        scene.tell(MachineState.RUNNING)  # as soon as it is woken
        scene.ear.knock.release()
        assert scene.comers.acquire(timeout=LATE)


def test_a_backend_that_could_not_listen_is_asked_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.01)
    scene.ear.failures = 2
    scene.tell(MachineState.PAUSED)
    assert scene.knocks.is_ready()
    scene.ear.knock.release()
    assert scene.comers.acquire(timeout=LATE)


def test_one_that_does_not_listen_is_not_ready(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY", 0.01)
    assert not scene.knocks.is_ready()


def test_two_who_come_at_once_are_both_led_to_the_machine(scene: Scene) -> None:
    """The second finds that it is being started already."""
    scene.auto_suspend()
    with scene.connect() as first, scene.connect() as second:
        for _ in range(2):
            assert scene.comers.acquire(timeout=LATE)
        with scene.come_back(guest_port=65534) as served:
            for _ in range(2):
                far, _ = served.accept()
                with far:
                    far.sendall(b"served")
        assert [client.recv(100) for client in (first, second)] == [b"served"] * 2


def test_one_that_is_not_brought_back_is_led_nowhere(scene: Scene) -> None:
    """Least of all to ourselves."""
    scene.auto_suspend()
    scene.is_back.set()
    with scene.connect() as client:
        assert client.recv(100) == b""
    assert scene.comers.acquire(blocking=False)
    assert not scene.comers.acquire(blocking=False)


def test_the_next_supervisor_knows_the_ports(scene: Scene) -> None:
    scene.auto_suspend()
    scene.knocks.close()
    assert net.is_free(HERE, scene.port)
    after = Knocks(scene.directory, scene.ear, lambda: None, lambda: None)
    after.follow(MachineState.STOPPED, [])
    assert not net.is_free(HERE, scene.port)
    after.close()


def test_what_its_user_stops_leaves_its_ports(scene: Scene) -> None:
    scene.auto_suspend()
    assert not net.is_free(HERE, scene.port)
    scene.directory.auto_suspended.unlink()
    scene.tell(MachineState.STOPPED)
    assert net.is_free(HERE, scene.port)


def test_ports_that_cannot_be_written_down_keep_nothing_from_happening(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.directory.doors.write_text("[]")

    def full(*_: object) -> None:
        raise BackendFailed("This computer's disk is full.")

    monkeypatch.setattr(module, "write_atomic", full)
    scene.auto_suspend()
    assert not scene.directory.doors.exists()
    assert net.is_free(HERE, scene.port)


def test_a_port_that_somebody_has_taken_is_let_be(scene: Scene) -> None:
    with socket.create_server((HERE, scene.port)):
        scene.auto_suspend()
        scene.knocks.leave(scene.forward)
        scene.tell(MachineState.STARTING)


def test_udp_is_nobodys(scene: Scene) -> None:
    scene.forward = Forward(HERE, scene.port, 65535, "udp")
    scene.auto_suspend()
    assert net.is_free(HERE, scene.port, "udp")
    assert net.is_free(HERE, scene.port)
