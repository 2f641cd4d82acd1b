"""One Galley in its own home, started on demand, with a raw endpoint of its dockerd.

The VM is the one that the goals assume: 2 CPUs, 2 GiB. Next: `tests/e2e/galley.py`.
"""

import json
import shutil
import socket
import tempfile
import threading
from functools import cached_property
from pathlib import Path

from tests.bench.http_endpoints import HttpEndpoint, answers, tcp_endpoint, unix_endpoint
from tests.bench.timing import wait_until
from tests.capability import have
from tests.e2e.galley import Galley
from tests.native import NativeDocker
from vm.backends import choose
from vm.directory import MachineDir
from vm.guest.protocol import Guest
from vm.host import net
from vm.types import Forward

# The options of Galley's dockerd.
NATIVE = (
    "--userland-proxy=false",
    "--log-driver=json-file",
    "--log-opt=max-size=20m",
    "--log-opt=max-file=5",
)
RAW_PORT = 2375  # in the guest
CONFIG = "/run/galley/dockerd.json"  # in the guest, dockerd's configuration
RESTART = "old=$(pidof dockerd); kill $old; while [ -e /proc/$old ]; do sleep 0.1; done"


class Lab:
    """`quick`: fewer samples and smaller loads, to see that the bench works."""

    def __init__(self, images: Path, quick: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gb"))
        self.shared = self.folder / "shared"  # instead of the default, the user's home
        self.shared.mkdir()
        self.images = images
        self.quick = quick
        self._raw: HttpEndpoint | None = None
        self._has_image = False

    def times(self, many: int, few: int) -> int:
        return few if self.quick else many

    @cached_property
    def galley(self) -> Galley:
        """A Galley whose supervisor runs and whose machine does not."""
        made = self.make_galley("g")
        made.run("settings", "set", "cpus", "2")
        made.run("settings", "set", "memory", "2GiB")
        made.run("settings", "set", "shares", str(self.shared))
        # The raw endpoint does not resume the machine.
        made.run("settings", "set", "save_after", "never")
        return made

    def make_galley(self, name: str) -> Galley:
        return Galley(self.folder / name, self.images)

    def running(self) -> Galley:
        """The Galley with a running machine that has the tiny image."""
        if self.galley.status()["state"] != "running":
            self.galley.start()
        if not self._has_image:
            self.galley.load_image()
            self._has_image = True
        return self.galley

    def stopped(self) -> Galley:
        """The Galley with a stopped machine that was started at least once."""
        galley = self.running()
        galley.run("stop", "--cold")
        self._raw = None
        return galley

    def guest(self) -> Guest:
        """A separate connection to the running machine, not the supervisor's."""
        machine = self.galley.machine
        backend = choose("qemu")
        address = backend.observe(machine).address
        assert address is not None
        return backend.guest(machine, address)

    def bridge(self) -> HttpEndpoint:
        return unix_endpoint(self.running().home.docker_socket)

    def raw(self) -> HttpEndpoint:
        """The same dockerd on a TCP port that QEMU forwards, without ssh and bridge."""
        galley = self.running()
        if self._raw is None:
            self._listen_on_tcp()
            self._raw = raw = _raw_endpoint(galley.machine)
            wait_until(lambda: answers(raw), "dockerd answers on TCP")
            wait_until(lambda: answers(self.bridge()), "dockerd answers through the bridge")
        return self._raw

    def _listen_on_tcp(self) -> None:
        guest = self.guest()
        config = json.loads(guest.read(CONFIG))
        config["hosts"].append(f"tcp://0.0.0.0:{RAW_PORT}")
        config["tls"] = False  # or dockerd refuses to start, or delays its start with a warning
        guest.write(CONFIG, json.dumps(config).encode())
        done = guest.run(("sh", "-c", RESTART), timeout=60)
        assert done.ok, done.tail()
        guest.close()

    @cached_property
    def native(self) -> NativeDocker:
        """A dockerd on this computer, with the tiny image in it."""
        made = NativeDocker(self.folder / "native", *NATIVE)
        made.start()
        return made

    def close(self) -> None:
        """Removes everything in reverse order of its creation, and the folder."""
        if "native" in self.__dict__:
            self.native.stop()
        if "galley" in self.__dict__:
            self.galley.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def _raw_endpoint(machine: MachineDir) -> HttpEndpoint:
    """Opens its forward again if it was closed: whenever a container starts or ends, the supervisor
    closes forwards of ports that no container publishes.
    """
    forwarder = have(choose("qemu").forwards_ports)
    port, opening = net.free_port(), threading.Lock()
    forward = Forward("127.0.0.1", port, RAW_PORT)
    endpoint = tcp_endpoint(port)

    def connect() -> socket.socket:
        with opening:
            try:
                return endpoint()
            except ConnectionRefusedError:
                forwarder.forward(machine, forward)
                return endpoint()

    return connect
