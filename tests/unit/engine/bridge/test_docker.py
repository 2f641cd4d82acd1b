"""The real docker client through the bridge: hijacked streams, half-closes, large bodies."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bridge.bridge import Bridge
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker, wait_until

pytestmark = pytest.mark.usefixtures("bridge")


@pytest.fixture
def socket_path(folder: Path) -> Path:
    return folder / "docker.sock"


def test_version(socket_path: Path) -> None:
    done = docker(socket_path, "version", "--format", "{{.Server.Version}}")
    assert done.returncode == 0, done.stderr
    assert done.stdout[:1].isdigit()


def test_output_after_the_end_of_input_arrives(socket_path: Path) -> None:
    done = docker(socket_path, "run", "-i", "--rm", "--network=none", IMAGE, "cat", stdin=b"x")
    assert (done.stdout, done.returncode) == (b"x", 0), done.stderr


def test_megabytes_through_a_hijacked_stream_in_both_directions(socket_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    done = docker(socket_path, "run", "-i", "--rm", "--network=none", IMAGE, "cat", stdin=data)
    assert done.stdout == data


def test_exec_returns_exit_code_stdout_and_stderr(socket_path: Path, container: str) -> None:
    script = "cat; echo wrong >&2; exit 7"
    done = docker(socket_path, "exec", "-i", container, "sh", "-c", script, stdin=b"in")
    assert (done.stdout, done.stderr, done.returncode) == (b"in", b"wrong\n", 7)


@pytest.fixture
def container(dockerd: Dockerd) -> Iterator[str]:
    yield (name := dockerd.run("sleep", "60"))
    docker(dockerd.socket, "rm", "-f", name)


def test_attach(socket_path: Path) -> None:
    made = docker(socket_path, "create", "-i", "--rm", "--network=none", IMAGE, "head", "-n1")
    name = made.stdout.decode().strip()
    assert docker(socket_path, "start", "-ai", name, stdin=b"one\ntwo\n").stdout == b"one\n"


def test_build(socket_path: Path, folder: Path) -> None:
    context = folder / "context"
    context.mkdir()
    (context / "large").write_bytes(bytes(3_000_000))
    text = f"FROM {IMAGE}\nCOPY large /large\nRUN wc -c /large\n"
    (context / "Dockerfile").write_text(text)
    done = docker(socket_path, "build", "--network=none", "-t", "built", str(context))
    assert b"3000000 /large" in done.stdout, done.stderr


def test_a_saved_image_is_the_same_as_without_the_bridge(
    socket_path: Path, folder: Path, dockerd: Dockerd
) -> None:
    saved, direct = folder / "saved.tar", folder / "direct.tar"
    assert docker(socket_path, "save", "-o", str(saved), IMAGE).returncode == 0
    assert docker(dockerd.socket, "save", "-o", str(direct), IMAGE).returncode == 0
    assert saved.read_bytes() == direct.read_bytes()
    assert b"Loaded image" in docker(socket_path, "load", "-i", str(saved)).stdout


def test_a_client_that_dies_leaves_nothing_open(
    socket_path: Path, bridge: Bridge, container: str
) -> None:
    command = ["docker", "-H", f"unix://{socket_path}", "exec", container, "yes"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.read(1_000_000)
    assert bridge.open_connections > 0
    client.kill()
    client.stdout.close()
    client.wait()
    wait_until(lambda: bridge.open_connections == 0)
