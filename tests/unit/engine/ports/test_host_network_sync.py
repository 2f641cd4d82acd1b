"""Ports of containers on a real dockerd's host network, with a scripted listener program."""

import socket
import threading

import pytest

from engine.ports.port_sync import LISTENERS_SOCKET
from tests.unit.engine.bridge.servers import IMAGE, wait_until
from tests.unit.engine.ports.conftest import Scene
from tests.unit.engine.ports.test_listeners import SocketStream
from vm.guest.protocol import Stream
from vm.types import Forward

WEB, INNER = 8080, 9090
BOTH = ("127.0.0.1", "::1")


class ListenerProgram:
    """The guest's listener program, scripted: `send` writes one list."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
        self._far: socket.socket | None = None
        self._dialled = threading.Event()
        monkeypatch.setattr(scene.guest, "dial", self._dial)

    def send(self, container: str, *listeners: str) -> None:
        assert self._dialled.wait(20)
        assert self._far is not None
        text = "".join(f"{listener} {container}\n" for listener in listeners)
        self._far.sendall(f"{text}\n".encode())

    @property
    def is_connected(self) -> bool:
        return self._dialled.is_set()

    def was_closed(self) -> bool:
        assert self._far is not None
        with self._far as far:
            far.settimeout(20)
            self._dialled.clear()
            return far.recv(1) == b""

    def _dial(self, path: str) -> Stream:
        assert path == LISTENERS_SOCKET
        near, self._far = socket.socketpair()
        self._dialled.set()
        return SocketStream(near)


def test_listeners_on_the_host_network_are_forwarded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = ListenerProgram(monkeypatch, scene)
    scene.docker("run", "-d", "--name", "other", "--network", "none", IMAGE, "sleep", "1000")
    scene.watch.look()
    assert not program.is_connected, "no connection without a container on the host network"
    words = ("run", "-d", "--name", "host", "--network", "host", IMAGE, "sleep", "1000")
    starting = threading.Thread(target=lambda: scene.docker(*words))
    starting.start()
    wait_until(lambda: program.is_connected)
    container = scene.server.run_docker("inspect", "-f", "{{.Id}}", "host")
    program.send(container, f"tcp 0.0.0.0 {WEB}", f"tcp 127.0.0.1 {INNER}", "tcp 0.0.0.0 99999")
    starting.join()
    everything = {("host", at, port) for at in BOTH for port in (WEB, INNER)}
    wait_until(lambda: scene.open() == everything)
    target, rules = f"--to-destination 127.0.0.1:{INNER}", ("iptables", "-t", "nat", "-S")
    wait_until(lambda: scene.server.inside(*rules).count(target) == 2)

    scene.settings.set("host_network_ports", "false")
    assert scene.open() == set()
    assert program.was_closed()
    scene.forwarder.busy.add(WEB)
    again = threading.Thread(target=lambda: scene.settings.set("host_network_ports", "true"))
    again.start()
    program.send(container, f"udp 0.0.0.0 {WEB}", f"tcp 0.0.0.0 {INNER}")
    again.join()
    wait_until(lambda: ("host", "127.0.0.1", INNER) in scene.open())
    problems = [str(problem) for problem in scene.ports.problems]
    assert any(f"Port {WEB} is taken" in one for one in problems), problems
    assert Forward("127.0.0.1", INNER, INNER) in scene.forwarder.carried
    program.send(container)
    wait_until(lambda: scene.ports.ports == ())
    scene.docker("rm", "-f", "host")
    assert program.was_closed()
