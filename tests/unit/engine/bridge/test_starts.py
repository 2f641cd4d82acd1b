"""Ports and bind mounts before the start of a container, as a real dockerd reports them."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest

from engine.bridge.unix import connect
from engine.ports.published import PublishedPorts
from engine.ports.published_spec import Container
from engine.ports.services import Services
from engine.ports.starts import Starts
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker
from tests.unit.engine.ports.test_published import FakeForwarder
from vm.errors import NotShared, PortInUse
from vm.guest.protocol import Stream
from vm.messages import Message
from vm.types import Forward

WEB = Forward("127.0.0.1", 8080, 8080)


def dial_refused() -> Stream:
    """The guest of an older Galley, which cannot reserve ports."""
    raise ConnectionRefusedError


class Scene:
    def __init__(self, dockerd: Dockerd) -> None:
        self.dockerd = dockerd
        self.dialled = 0
        self.looks = 0
        self.forwarder = FakeForwarder()
        self.ports = PublishedPorts(self.forwarder, lambda: None)
        default = ("127.0.0.1",)
        self.unshared: set[str] = set()
        self.starts = Starts(
            dial=self._dial,
            dial_ports=dial_refused,
            ports=self.ports,
            default=lambda: default,
            services=Services(self._dial),
            look=self._look,
            must_share=self._must_share,
        )

    def _dial(self) -> Stream:
        self.dialled += 1
        return connect(self.dockerd.socket)

    def _must_share(self, folders: Iterable[str], made: Collection[str]) -> None:
        if self.unshared & set(folders):
            raise NotShared(Message("", "It is not shared.", "Share it."))

    def _look(self) -> None:
        """No container ever runs: dockerd has no network here."""
        self.looks += 1
        self.ports.sync([])


@pytest.fixture
def scene(dockerd: Dockerd) -> Scene:
    return Scene(dockerd)


@pytest.fixture
def web(dockerd: Dockerd) -> Iterator[str]:
    """The id of a container that publishes 8080."""
    made = docker(dockerd.socket, "create", "--name=web", "-p=8080:80", "-p=81", IMAGE, "true")
    assert made.returncode == 0, made.stderr
    yield made.stdout.decode().strip()
    docker(dockerd.socket, "rm", "-f", "web")


def test_ports_are_open_before_the_start_and_closed_if_it_fails(scene: Scene, web: str) -> None:
    done = scene.starts.about_to("web")
    assert done is not None
    assert scene.forwarder.carried == {WEB}
    scene.ports.sync([])
    assert scene.forwarder.carried == {WEB}, "a sync during the start changes nothing"
    done()
    assert scene.looks == 2, "one for the answer, one to close ports after a failed start"
    assert scene.forwarder.carried == set()


def test_a_taken_port_is_refused(scene: Scene, web: str) -> None:
    scene.forwarder.busy.add(8080)
    with pytest.raises(PortInUse):
        scene.starts.about_to("web")


def test_a_container_with_auto_remove_is_removed_if_its_start_is_refused(
    scene: Scene, dockerd: Dockerd, web: str
) -> None:
    """`docker run --rm` waits for the removal."""
    made = docker(dockerd.socket, "create", "--rm", "--name=once", "-p=8080:80", IMAGE, "true")
    scene.forwarder.busy.add(8080)
    for name in ("web", "once"):
        with pytest.raises(PortInUse):
            scene.starts.about_to(name)
    left = docker(dockerd.socket, "ps", "-aq", "--no-trunc").stdout.decode().split()
    assert web in left
    assert made.stdout.decode().strip() not in left


def test_the_answer_for_a_container_without_ports_does_not_wait(
    scene: Scene, dockerd: Dockerd
) -> None:
    docker(dockerd.socket, "create", "--name=quiet", IMAGE, "true")
    assert scene.starts.about_to("quiet") is None
    docker(dockerd.socket, "rm", "quiet")


def test_a_container_whose_bind_mount_is_no_longer_shared_does_not_start(
    scene: Scene, dockerd: Dockerd, tmp_path: Path
) -> None:
    """dockerd would create the missing folder at each start. This applies to `-v` and `--mount`,
    and not to volumes."""
    by_mount = f"--mount=type=bind,source={tmp_path},target=/y"
    options = {"one": f"-v={tmp_path}:/x", "two": by_mount, "other": "-v=volume:/x"}
    for name, option in options.items():
        docker(dockerd.socket, "create", f"--name={name}", "-p=8080:80", option, IMAGE, "true")
    scene.unshared.add(str(tmp_path))
    for name in ("one", "two"):
        with pytest.raises(NotShared):
            scene.starts.about_to(name)
        assert scene.forwarder.carried == set(), "no port was opened for it"
    done = scene.starts.about_to("other")
    assert done is not None
    done()
    docker(dockerd.socket, "rm", "-v", *options)


def test_the_start_of_an_unknown_container_is_passed_on_to_dockerd(scene: Scene) -> None:
    assert scene.starts.about_to("unknown") is None
    assert scene.starts.about_to("../../../info") is None


def test_each_container_is_inspected_once(scene: Scene, web: str) -> None:
    running = [Container(web, ("/web",))]
    first = scene.starts.asked(running)
    assert [binding.port for _, _, binding in first[web].bindings()] == [8080, 0]
    dialled = scene.dialled
    assert scene.starts.asked(running) == first
    assert scene.dialled == dialled
    assert scene.starts.asked([]) == {}
    assert scene.starts.asked(running) == first
    assert scene.dialled == dialled + 1
