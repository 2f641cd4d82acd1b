"""A connection to a port of a paused or suspended machine wakes it and is forwarded to it."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.ports import wake_on_traffic as module
from engine.ports.wake_on_traffic import PortWaker
from vm.capabilities import WakesOnTraffic
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host import net
from vm.messages import Message
from vm.types import Forward, MachineState

LATE = 10.0  # seconds; only a failure waits so long
HERE = "127.0.0.1"


class Traffic(WakesOnTraffic):
    """A backend that reports traffic."""

    def __init__(self) -> None:
        self.frames = threading.Semaphore(0)
        self.failures = 0
        self.waits = threading.Semaphore(0)

    def wait(self, directory: MachineDir, listening: Callable[[], None]) -> bool:
        if self.failures:
            self.failures -= 1
            raise BackendFailed(Message("", "QEMU does not report traffic."))
        listening()
        self.waits.release()
        return self.frames.acquire(timeout=LATE)


class Scene:
    """A machine in a given state, which has its ports once it runs."""

    def __init__(self, folder: Path) -> None:
        self.directory = MachineDir(folder, folder / "logs", folder / "run")
        self.traffic = Traffic()
        self.port = net.free_port()
        self.forward = Forward(HERE, self.port, 65535)
        self.wakes = threading.Semaphore(0)
        self.is_resumed = threading.Event()
        self.state = MachineState.RUNNING
        self.port_waker = PortWaker(
            self.directory, self.traffic, self._awake, self._wait_until_resumed
        )

    def change_state(self, state: MachineState) -> None:
        self.state = state
        self.port_waker.follow(state, [self.forward])

    def auto_suspend(self) -> None:
        self.directory.auto_suspended.touch()
        self.change_state(MachineState.STOPPING)
        self.change_state(MachineState.STOPPED)

    def resume(self, guest_port: int = 65535) -> socket.socket:
        """The machine runs again and has the port; `guest_port` may have changed."""
        self.change_state(MachineState.STARTING)
        self.port_waker.release(Forward(HERE, self.port, guest_port))
        served = socket.create_server((HERE, self.port))
        served.settimeout(LATE)
        self.change_state(MachineState.RUNNING)
        self.is_resumed.set()
        return served

    def connect(self) -> socket.socket:
        return socket.create_connection((HERE, self.port), LATE)

    def _awake(self) -> None:
        """Like the resource saver's: returns at once while a start is under way."""
        self.wakes.release()

    def _wait_until_resumed(self) -> None:
        assert self.is_resumed.wait(LATE)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.traffic.frames.release(2)
    made.port_waker.close()


def test_traffic_wakes_the_machine_and_each_pause_listens_again(scene: Scene) -> None:
    for _ in range(2):
        scene.change_state(MachineState.PAUSED)
        assert scene.port_waker.is_ready()
        assert not scene.wakes.acquire(blocking=False)
        scene.change_state(MachineState.RUNNING)  # as after a wake
        scene.traffic.frames.release()
        assert scene.wakes.acquire(timeout=LATE)


def test_a_backend_that_fails_to_listen_is_retried(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.01)
    scene.traffic.failures = 2
    scene.change_state(MachineState.PAUSED)
    assert scene.port_waker.is_ready()
    scene.traffic.frames.release()
    assert scene.wakes.acquire(timeout=LATE)


def test_the_port_waker_is_not_ready_before_it_listens(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY", 0.01)
    assert not scene.port_waker.is_ready()


def test_two_connections_at_once_are_both_forwarded(scene: Scene) -> None:
    """The machine is starting already when the second one arrives."""
    scene.auto_suspend()
    with scene.connect() as first, scene.connect() as second:
        for _ in range(2):
            assert scene.wakes.acquire(timeout=LATE)
        with scene.resume(guest_port=65534) as served:
            for _ in range(2):
                far, _ = served.accept()
                with far:
                    far.sendall(b"served")
        assert [client.recv(100) for client in (first, second)] == [b"served"] * 2


def test_the_connection_is_closed_if_the_machine_does_not_resume(scene: Scene) -> None:
    """The connection is not forwarded to the waker's own listener."""
    scene.auto_suspend()
    scene.is_resumed.set()
    with scene.connect() as client:
        assert client.recv(100) == b""
    assert scene.wakes.acquire(blocking=False)
    assert not scene.wakes.acquire(blocking=False)


def test_the_next_supervisor_listens_on_the_saved_ports(scene: Scene) -> None:
    scene.auto_suspend()
    scene.port_waker.close()
    assert net.is_free(HERE, scene.port)
    after = PortWaker(scene.directory, scene.traffic, lambda: None, lambda: None)
    after.follow(MachineState.STOPPED, [])
    assert not net.is_free(HERE, scene.port)
    after.close()


def test_a_stop_by_the_user_closes_the_ports(scene: Scene) -> None:
    scene.auto_suspend()
    assert not net.is_free(HERE, scene.port)
    scene.directory.auto_suspended.unlink()
    scene.change_state(MachineState.STOPPED)
    assert net.is_free(HERE, scene.port)


def test_ports_that_cannot_be_saved_do_not_stop_the_suspend(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.directory.wake_ports.write_text("[]")

    def full(*_: object) -> None:
        raise BackendFailed(Message("", "This computer's disk is full."))

    monkeypatch.setattr(module, "write_atomic", full)
    scene.auto_suspend()
    assert not scene.directory.wake_ports.exists()
    assert net.is_free(HERE, scene.port)


def test_a_port_that_is_in_use_is_left_alone(scene: Scene) -> None:
    with socket.create_server((HERE, scene.port)):
        scene.auto_suspend()
        scene.port_waker.release(scene.forward)
        scene.change_state(MachineState.STARTING)


def test_udp_is_not_listened_on(scene: Scene) -> None:
    scene.forward = Forward(HERE, scene.port, 65535, "udp")
    scene.auto_suspend()
    assert net.is_free(HERE, scene.port, "udp")
    assert net.is_free(HERE, scene.port)
