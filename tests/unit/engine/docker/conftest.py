"""Fixtures for the Docker client's tests: a real dockerd with its own network, and a client.

They need root, dockerd and busybox-static; `./dev test` installs them.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.docker.client import DockerClient
from engine.docker.containers import Containers
from engine.docker.types import RunSpec
from engine.dockercli.endpoint import Endpoint
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker


class NetworkedDockerd(Dockerd):
    """A dockerd whose containers have networks and published ports, in its own namespace."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._netns = f"galley-sdk-{os.getpid()}"  # the bridge's tests have another

    def start(self) -> None:
        super().start()
        subprocess.run(["ip", "-n", self._netns, "link", "set", "lo", "up"], check=True)

    def _options(self) -> list[str]:
        return [option for option in super()._options() if option != "--bridge=none"]

    def _import_image(self) -> None:
        """Import an image with every busybox applet and a /tmp folder."""
        root = self.folder / "root"
        programs = root / "bin"
        programs.mkdir(parents=True)
        (root / "tmp").mkdir()
        shutil.copy("/usr/bin/busybox", programs / "busybox")
        listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            if name != "busybox":
                (programs / name).symlink_to("busybox")
        packed = shutil.make_archive(str(self.folder / "image"), "tar", root)
        done = docker(self.socket, "import", "--change", "ENV BASE=image", packed, IMAGE)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    assert os.getuid() == 0, "dockerd runs as root: run the tests as root"
    folder = Path(tempfile.mkdtemp(prefix="galley-"))  # short enough for a socket's path
    server = NetworkedDockerd(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def endpoint(dockerd: Dockerd) -> Endpoint:
    return Endpoint("test", f"unix://{dockerd.socket}")


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[DockerClient]:
    """Removes all containers and volumes afterwards."""
    made = DockerClient(endpoint)
    yield made
    for container in made.containers.list():
        made.containers.remove(container.id, force=True, volumes=True)
    for volume in made.volumes.list():
        made.volumes.remove(volume.name, force=True)
    made.close()


@pytest.fixture
def containers(client: DockerClient) -> Containers:
    return client.containers


@pytest.fixture
def web(containers: Containers) -> str:
    """A container that runs until it is stopped."""
    return containers.run(sleeper("web"))


def sleeper(name: str, **more: object) -> RunSpec:
    """A container that exits at once on SIGTERM, which process 1 ignores by default."""
    script = "trap 'exit 0' TERM; sleep 1000 & wait"
    return RunSpec(IMAGE, name, ("sh", "-c", script), **more)  # type: ignore[arg-type]
