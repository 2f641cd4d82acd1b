"""Running a local or a missing image, and the equivalent `docker run` command line."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.run_spec import spec_of
from engine.docker.running import run_command, run_image
from engine.docker.types import ANY_PORT, Mount, Port, RunSpec, TransferProgress
from tests.unit.engine.bridge.servers import IMAGE, Dockerd
from tests.unit.engine.docker.conftest import sleeper
from tests.unit.engine.docker.registry import FAST, Registry
from vm.errors import Cancelled, EngineError


@pytest.fixture
def registry(dockerd: Dockerd, tmp_path: Path) -> Iterator[Registry]:
    made = Registry(dockerd, tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_local_image_is_run_at_once(client: DockerClient) -> None:
    notes: list[str] = []
    made = run_image(client, sleeper("web"), Cancel(), lambda note, *_: notes.append(note))
    assert [one.id for one in client.containers.list()] == [made]
    assert notes == ["Starting"]


def test_a_missing_image_is_pulled_with_progress_by_layer(
    client: DockerClient, registry: Registry
) -> None:
    name = f"{FAST}/running:1"
    client.images.tag(IMAGE, name)
    for _ in client.images.push(name, Cancel()):
        pass
    client.images.remove(name)
    details: list[object] = []
    spec = msgspec.structs.replace(sleeper("pulled"), image=name)
    made = run_image(client, spec, Cancel(), lambda _note, _share, detail: details.append(detail))
    assert client.containers.detail(made).image == name
    assert any(isinstance(detail, TransferProgress) for detail in details)
    client.containers.remove(made, force=True)
    client.images.remove(name)


def test_a_cancelled_run_leaves_no_container(client: DockerClient) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        run_image(client, sleeper("web"), cancel, lambda *_: None)
    assert client.containers.list() == ()


def test_an_image_that_cannot_be_pulled_leaves_no_container(client: DockerClient) -> None:
    spec = RunSpec("localhost:1/none:1")
    with pytest.raises(EngineError):
        run_image(client, spec, Cancel(), lambda *_: None)
    assert client.containers.list() == ()


def test_a_port_chosen_by_docker_stays_any_port_in_the_spec(client: DockerClient) -> None:
    """Docker chooses the port; the container's spec requests any port again."""
    spec = sleeper("web", ports=(Port(80, "tcp", "", ANY_PORT), Port(81)))
    made = client.containers.run(spec)
    (row,) = client.containers.list()
    chosen = {port.container_port: port.host_port for port in row.ports}
    assert chosen[80] > 1024
    assert chosen[81] == 0
    raw = client.containers.raw(made)
    assert spec_of(raw, client.containers.image(IMAGE)).ports == spec.ports


def test_the_command_has_every_option_of_the_spec() -> None:
    spec = RunSpec(
        "nginx:1.27",
        "my web",
        ("-g", "daemon off;"),
        ("nginx", "-q"),
        ("A=1 2", "B=$HOME"),
        (
            Port(80, "tcp", "127.0.0.1", 8080),
            Port(53, "udp", "", 53),
            Port(81, "tcp", "", ANY_PORT),
            Port(82),
            Port(83, "tcp", "::1", 83),
        ),
        (
            Mount("volume", "data", "/data"),
            Mount("bind", "/srv/a b", "/src", read_only=True),
            Mount("volume", "", "/cache"),
            Mount("tmpfs", "", "/scratch"),
            Mount("bind", "/odd:name", "/odd"),
        ),
        "shop",
        "unless-stopped",
        512 << 20,
        0.5,
        "/app",
        "1000",
        tty=True,
        stdin_open=True,
    )
    expected = """docker run -d -i -t --restart unless-stopped --entrypoint nginx
        --memory 512m --cpus 0.5 --name 'my web' --network shop --workdir /app --user 1000
        -p 127.0.0.1:8080:80 -p 53:53/udp -p 81 --expose 82 -p [::1]:83:83
        -e 'A=1 2' -e 'B=$HOME' -v data:/data -v '/srv/a b:/src:ro' -v /cache --tmpfs /scratch
        --mount type=bind,source=/odd:name,target=/odd nginx:1.27 -q -g 'daemon off;'"""
    assert shlex.split(run_command(spec)) == shlex.split(expected)


def test_the_command_omits_defaults() -> None:
    assert run_command(RunSpec("alpine")) == "docker run -d alpine"
    assert run_command(RunSpec("a", memory=1000, auto_remove=True)) == (
        "docker run -d --rm --memory 1000 a"
    )
    assert run_command(RunSpec("a", entrypoint=())) == "docker run -d --entrypoint '' a"
