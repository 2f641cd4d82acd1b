"""Without an engine every client gets the reason immediately, and the listener stays."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.unix import UnixListener, connect
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import docker
from vm.errors import EngineUnreachable, GuestUnreachable, HomeUnusable, MachineBusy, Problem
from vm.guest.protocol import Stream
from vm.messages import Message

STOPPED = EngineUnreachable(
    Message("", "Galley's engine is stopped.", "Start it with `galley start`.")
)


def refused() -> Stream:
    raise ConnectionRefusedError("nothing listens")


def unreachable() -> Stream:
    raise GuestUnreachable(Message("", "The virtual machine does not answer.", "Restart it."))


@contextlib.contextmanager
def bridging(
    path: Path, dial: Callable[[], Stream], problem: Problem | None = None
) -> Iterator[Path]:
    bridge = Bridge(UnixListener(path), ReachableDockerd(dial, lambda: problem))
    bridge.open()
    try:
        yield path
    finally:
        bridge.close()


@pytest.fixture
def down(folder: Path) -> Iterator[Path]:
    with bridging(folder / "docker.sock", refused, STOPPED.to_problem()) as path:
        yield path


def send(path: Path, *parts: bytes, end: bool = False) -> bytes:
    """Send the parts. Returns the answer up to the end of the connection by the bridge."""
    stream = connect(path)
    for part in parts:
        with contextlib.suppress(BrokenPipeError):
            stream.sendall(part)
    if end:
        stream.shutdown_write()
    answer = b"".join(iter(lambda: stream.recv(65536), b""))
    stream.close()
    return answer


def test_the_docker_client_shows_summary_and_hint(down: Path) -> None:
    done = docker(down, "ps")
    assert done.returncode != 0
    assert b"Galley's engine is stopped. Start it with `galley start`." in done.stderr


def test_a_large_upload_is_refused_without_a_reset(down: Path, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "large").write_bytes(os.urandom(5_000_000))
    done = docker(down, "build", str(folder))
    assert b"Galley's engine is stopped." in done.stderr


@pytest.mark.parametrize(
    ("dial", "sentence"),
    [
        (refused, b"The Docker Engine is not running in Galley's virtual machine."),
        (unreachable, b"The virtual machine does not answer. Restart it."),
    ],
)
def test_a_failed_dial_is_reported_with_its_reason(
    folder: Path, dial: Callable[[], Stream], sentence: bytes
) -> None:
    with bridging(folder / "docker.sock", dial) as path:
        assert sentence in docker(path, "ps").stderr


def test_the_answer_is_well_formed(down: Path) -> None:
    head, body = send(down, b"GET /v1.45/info HTTP/1.1\r\nHost: x\r\n\r\n").split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert list(json.loads(body)) == ["message"]


def test_an_answer_to_head_has_no_body(down: Path) -> None:
    answer = send(down, b"HEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"GET / HTTP/1.1\nHost: bare newlines\n\n",), b"503"),
        ((b"\x16\x03\x01\x02\x00garbage\n\n" * 10,), b"503"),
        ((b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",), b"431"),
        ((b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",), b"431"),
        ((bytes(300_000),), b"431"),
    ],
    ids=["newlines", "garbage", "long header", "many headers", "zeros"],
)
def test_bad_requests_are_answered(down: Path, parts: tuple[bytes, ...], status: bytes) -> None:
    assert send(down, *parts).split(b" ")[1] == status


def test_half_a_request_is_answered(down: Path) -> None:
    assert send(down, b"GET /info HT", end=True).startswith(b"HTTP/1.1 400 ")


def test_a_slow_client_is_answered_within_its_deadline(down: Path) -> None:
    started = time.monotonic()
    assert send(down, b"GET /info HTTP/1.1\r\nHo").startswith(b"HTTP/1.1 503 ")
    assert time.monotonic() - started < 3.5


def test_bytes_that_are_not_http_reach_dockerd_unchanged(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, bridging(folder / "docker.sock", lambda: _wrapped(theirs)) as path:
        stream = connect(path)
        stream.sendall(b"\x00\xff not HTTP")
        assert ours.recv(64) == b"\x00\xff not HTTP"
        stream.close()


def _wrapped(connection: socket.socket) -> Stream:
    from engine.bridge.unix import SocketStream

    return SocketStream(connection)


# The socket file


def test_the_socket_is_private(down: Path) -> None:
    assert stat.S_IMODE(down.stat().st_mode) == 0o600


def test_a_stale_socket_is_replaced(folder: Path) -> None:
    path = folder / "docker.sock"
    script = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(path)], check=True)
    assert path.is_socket()
    with bridging(path, refused, STOPPED.to_problem()):
        assert send(path, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503")
    assert not path.exists()


def test_a_socket_in_use_is_not_replaced(down: Path) -> None:
    with pytest.raises(MachineBusy):
        UnixListener(down).open()
    down.with_name("docker.sock.lock").unlink()  # as with a program that does not use the lock
    with pytest.raises(MachineBusy):
        UnixListener(down).open()
    assert send(down, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503")


def test_a_file_that_is_not_a_socket_is_not_removed(folder: Path) -> None:
    path = folder / "docker.sock"
    path.write_text("precious")
    with pytest.raises(HomeUnusable):
        UnixListener(path).open()
    assert path.read_text() == "precious"


def test_close_leaves_only_the_lock_file(folder: Path) -> None:
    with bridging(folder / "docker.sock", refused):
        pass
    assert [one.name for one in folder.iterdir()] == ["docker.sock.lock"]


def test_the_socket_of_a_successor_is_not_removed(folder: Path) -> None:
    path = folder / "docker.sock"
    with bridging(path, refused):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(path))
    assert path.is_socket()
    successor.close()


def test_a_missing_folder_is_an_error(folder: Path) -> None:
    with pytest.raises(HomeUnusable):
        UnixListener(folder / "missing" / "docker.sock").open()
