"""A real dockerd with its own firewall, which publishes ports and may be a swarm manager."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.unix import UnixListener, connect
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.ports.guest_rules import GuestRules
from engine.ports.port_sync import PortSync
from engine.ports.published_spec import Container
from engine.settings.store import SettingsStore
from tests.unit.engine.admission.making import admission
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import Dockerd, docker
from vm.backend import Backend as RealBackend
from vm.directory import MachineDir
from vm.errors import PortInUse
from vm.guest.protocol import Guest, Stream
from vm.host import process
from vm.host.paths import Home
from vm.messages import Message
from vm.types import Forward, MachineState, Observation

SERVICE = ("service", "create", "--detach", "--no-resolve-image", "--stop-grace-period=0s")


class Publishing(Dockerd):
    """In its own network namespace, with bridges, iptables and a loopback."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._netns += "-ports"

    def start(self) -> None:
        super().start()
        self.inside("ip", "link", "set", "lo", "up")

    def _options(self) -> list[str]:
        left_out = ("--bridge=none", "--iptables=false")
        options = [option for option in super()._options() if option not in left_out]
        return [*options, "--userland-proxy=false"]

    def inside(self, *words: str) -> str:
        """Output of a program that runs in the network namespace."""
        return subprocess.run(self.enter(*words), check=True, capture_output=True, text=True).stdout

    def enter(self, *words: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._netns}", *words]

    def run_docker(self, *words: str) -> str:
        done = docker(self.socket, *words, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def targets(self) -> dict[str, str]:
        """Destinations of dockerd's own DNAT rules by published port."""
        words = [line.split() for line in self.inside("iptables", "-t", "nat", "-S").splitlines()]
        rules = [dict(itertools.pairwise(line)) for line in words if "DNAT" in line]
        return {rule["--dport"]: rule["--to-destination"] for rule in rules}


@pytest.fixture(scope="session")
def publishing() -> Iterator[Publishing]:
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    server = Publishing(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Backend:
    """Forwards every port except the busy ones."""

    def __init__(self) -> None:
        self.forwards_ports = self
        self.wakes_on_traffic = None
        self.carried: set[Forward] = set()
        self.busy: set[int] = set()

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        if forward.host_port in self.busy:
            raise PortInUse(Message("", f"Port {forward.host_port} is taken."))
        self.carried.add(forward)

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        self.carried.discard(forward)

    def forwarded(self, directory: MachineDir) -> frozenset[Forward]:
        return frozenset(self.carried)

    def observe(self, directory: MachineDir) -> Observation:
        return Observation(MachineState.RUNNING, os.getpid())


class PublishingGuest:
    """The network namespace of `Publishing`. `refused`: a program that fails."""

    def __init__(self, server: Publishing) -> None:
        self._server = server
        self.refused = ""

    def run(
        self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0
    ) -> process.Completed:
        words = ("false",) if argv[0] == self.refused else argv
        return process.run(self._server.enter(*words), stdin=stdin, timeout=timeout)

    def dial(self, socket_path: str) -> Stream:
        raise ConnectionRefusedError  # there is no port holder


class PublishingMachine:
    def __init__(self, server: Publishing, home: Home) -> None:
        self.forwarder = Backend()
        self.inside = PublishingGuest(server)
        self.backend = cast(RealBackend, self.forwarder)
        self.directory = MachineDir.of(home)

    @property
    def guest(self) -> Guest:
        return cast(Guest, self.inside)


class NoSaver:
    def awake(self) -> None: ...
    def wait(self) -> None: ...


class Scene:
    """The port code between a real dockerd and a backend, driven by the engine watch."""

    def __init__(self, server: Publishing, home: Home) -> None:
        self.server = server
        self.machine = PublishingMachine(server, home)
        self.forwarder, self.guest = self.machine.forwarder, self.machine.inside
        self.folder = Path(tempfile.mkdtemp(prefix="galley-"))  # for a short socket path
        self.changes = 0
        self.watch = EngineWatch(self.dial)
        self.settings = SettingsStore(home)
        self.ports = PortSync(
            machine=self.machine,
            saver=NoSaver(),
            settings=self.settings,
            guest_rules=GuestRules(),
            dial=self.dial,
            look=self.watch.look,
            must_share=lambda *_: None,
            on_change=self._changed,
        )
        self.bridge = Bridge(
            UnixListener(self.folder / "docker.sock"),
            ReachableDockerd(self.dial),
            admission(starts=self.ports.starts),
        )

    def begin(self) -> None:
        self.bridge.open()
        self.begin_watch()
        self.watch.look()

    def begin_watch(self) -> None:
        self.watch.begin(lambda health: None, self._look)

    def end(self) -> None:
        self.watch.end()
        self.bridge.close()
        self.ports.follow(MachineState.STOPPED)
        shutil.rmtree(self.folder)

    def docker(self, *words: str) -> str:
        """Output of the docker client, which connects through the bridge."""
        done = docker(self.folder / "docker.sock", *words, timeout=60)
        return (done.stdout + done.stderr).decode().strip()

    def create_service(self, *words: str) -> None:
        done = docker(self.folder / "docker.sock", *SERVICE, *words, timeout=60)
        assert done.returncode == 0, done.stderr

    def dial(self) -> Stream:
        return connect(self.server.socket)

    def _look(self, containers: list[Container]) -> None:
        self.ports.sync(containers)

    def _changed(self) -> None:
        self.changes += 1

    def open(self) -> set[tuple[str, str, int]]:
        """Ports without a problem, as (container, address, port)."""
        ports = [port for port in self.ports.ports if port.problem is None]
        return {(p.container, p.forward.host_address, p.forward.host_port) for p in ports}


@pytest.fixture
def scene(publishing: Publishing, home: Home) -> Iterator[Scene]:
    made = Scene(publishing, home)
    made.begin()
    yield made
    made.end()
    if names := publishing.run_docker("ps", "-aq").split():
        publishing.run_docker("rm", "-f", *names)
