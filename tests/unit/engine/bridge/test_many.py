"""Two hundred streams at once, and `close` while streams are open."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.unix import SocketStream, connect
from engine.dockerapi.http import ping
from tests.background import Background
from tests.unit.engine.bridge.servers import Dockerd, docker, wait_until

MANY = 200
EXECS = int(os.environ.get("GALLEY_TEST_EXECS", "40"))  # each takes 60 ms on two cores


@pytest.fixture
def container(dockerd: Dockerd) -> Iterator[str]:
    yield (name := dockerd.run("sh", "-c", "while echo line; do sleep 0.1; done"))
    docker(dockerd.socket, "rm", "-f", name)


def hijack(path: Path, target: str, body: str = "") -> SocketStream:
    """A raw stream, after dockerd has upgraded the connection."""
    stream = connect(path)
    stream.sendall(
        f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return stream


def ask(path: Path, target: str, body: object) -> bytes:
    stream = connect(path)
    text = json.dumps(body)
    stream.sendall(
        f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    )
    answer = read_all(stream)
    stream.close()
    return answer.split(b"\r\n\r\n", 1)[1]


def read_all(stream: SocketStream) -> bytes:
    return b"".join(iter(lambda: stream.recv(65536), b""))


def test_two_hundred_hijacked_streams_at_once(folder: Path, bridge: Bridge, container: str) -> None:
    path = folder / "docker.sock"

    def attach(_: int) -> SocketStream:
        return hijack(path, f"/containers/{container}/attach?stream=1&stdout=1")

    with Background() as pool:
        streams = list(pool.map(attach, range(MANY)))
        assert bridge.open_connections == MANY
        outputs = list(pool.map(lambda stream: stream.recv(64), streams))
    assert all(b"line" in output for output in outputs)
    for stream in streams:
        stream.close()
    wait_until(lambda: bridge.open_connections == 0)


def test_many_execs_at_once(folder: Path, bridge: Bridge, container: str) -> None:
    path = folder / "docker.sock"

    def run(number: int) -> bytes:
        command = {"AttachStdout": True, "Tty": True, "Cmd": ["echo", f"number {number}"]}
        made = json.loads(ask(path, f"/containers/{container}/exec", command))
        stream = hijack(path, f"/exec/{made['Id']}/start", '{"Tty": true}')
        output = read_all(stream)
        stream.close()
        return output

    with Background() as pool:
        outputs = list(pool.map(run, range(EXECS)))
    assert outputs == [f"number {number}\r\n".encode() for number in range(EXECS)]


def test_close_ends_open_connections(folder: Path, bridge: Bridge, container: str) -> None:
    stream = hijack(folder / "docker.sock", f"/containers/{container}/attach?stream=1&stdout=1")
    bridge.close()
    assert bridge.open_connections == 0
    assert not [one.name for one in threading.enumerate() if one.name.startswith("bridge-")]
    assert not (folder / "docker.sock").exists()
    with pytest.raises(OSError):  # noqa: PT011 (refused or not found)
        connect(folder / "docker.sock")
    stream.close()


def test_a_client_may_disconnect_without_a_request(folder: Path, bridge: Bridge) -> None:
    for _ in range(50):
        socket_stream = connect(folder / "docker.sock")
        socket_stream.close()
    wait_until(lambda: bridge.open_connections == 0)
    assert ping(lambda: connect(folder / "docker.sock"))
