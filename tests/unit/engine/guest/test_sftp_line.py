"""The connection between sshfs and the supervisor, which survives the end of the supervisor.

The server is `vm/sftp/server.py` itself. Paramiko's client takes the place of sshfs, through a
program with the threads of sshfs: one writes whole requests, another reads responses once a request
is written.
"""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko.sftp import (
    CMD_INIT,
    CMD_MKDIR,
    CMD_OPEN,
    CMD_REMOVE,
    CMD_RENAME,
    CMD_STATUS,
    CMD_SYMLINK,
    CMD_VERSION,
    CMD_WRITE,
)

from engine.bridge.unix import SocketStream, dial
from engine.guest.recipe import FILES
from tests.unit.engine.bridge.servers import wait_until
from tests.unit.vm.sftp.test_server import Named
from vm.sftp import server
from vm.sftp.server import AGAIN, REOPEN
from vm.types import Share

PATIENCE = 20.0
NO_LEAKS = "detect_leaks=0"  # Python's own
CHECKS = ("-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined")
SSHFS = """
import os, socket, sys, threading
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
requests = client.makefile("rb")
def send_request():
    length = requests.read(4)
    os.writev(1, [length, requests.read(int.from_bytes(length))]) if length else os._exit(7)
def send_requests():
    while True:
        send_request()
send_request()
threading.Thread(target=send_requests).start()
while True:
    client.sendall(os.read(0, 5))
"""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> str:
    """LD_PRELOAD for sshfs: the sanitizers and the library under test."""
    made = tmp_path_factory.mktemp("line") / "sftp_line.so"
    source = FILES / "source" / "sftp_line.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", *CHECKS, "-o", made, source], check=True)
    names = [f"-print-file-name=lib{name}.so" for name in ("asan", "ubsan")]
    own = [subprocess.check_output(["cc", name], text=True).strip() for name in names]
    return ":".join([*own, str(made)])


class Host:
    """Serves the share through the socket at `path` until the connection ends."""

    def __init__(self, path: Path, share: Share) -> None:
        self.stream = SocketStream(_connect(path))
        self._thread = threading.Thread(target=server.serve, args=(self.stream, share))
        self._thread.start()

    def end(self) -> None:
        self.stream.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class Scene:
    """An sshfs and its host. `client` takes the place of the guest's kernel."""

    def __init__(self, line: str, base: Path) -> None:
        self.share = Share(str(base / "shared"), "/there")
        self.folder = Path(self.share.host_path)
        self.folder.mkdir()
        self.socket = base / "line"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(base / "client"))
        listening.listen(1)
        listening.settimeout(PATIENCE)
        words = [sys.executable, "-S", "-c", SSHFS, str(base / "client")]
        env = {"LD_PRELOAD": line, "GALLEY_LINE": str(self.socket), "ASAN_OPTIONS": NO_LEAKS}
        self.sshfs = subprocess.Popen(words, env=env)
        self.host: Host | None = None
        near, _ = listening.accept()
        listening.close()
        self.near = Named(fileno=near.detach())
        with ThreadPoolExecutor() as pool:  # each waits for the other
            pool.submit(self.serve)
            self.client = paramiko.SFTPClient(cast(paramiko.Channel, self.near))

    def serve(self) -> None:
        self.host = Host(self.socket, self.share)

    def disconnect(self) -> None:
        assert self.host is not None
        self.host.end()
        self.host = None

    def restart_host(self) -> None:
        self.disconnect()
        self.serve()

    @contextlib.contextmanager
    def silent_host(self) -> Iterator[Callable[[], int]]:
        """A host that answers no request. Yields a function for the next request's kind."""
        self.disconnect()
        with _connect(self.socket) as host, host.makefile("rb") as requests:

            def next_request() -> int:
                while True:
                    kind, body = _packet(requests.read)
                    if kind == CMD_INIT:
                        host.sendall(struct.pack(">IBI", 5, CMD_VERSION, 3))
                    elif body[8:].startswith(REOPEN.encode()):
                        host.sendall(struct.pack(">IBIIII", 17, CMD_STATUS, 0, 0, 0, 0))
                    elif body[8:].startswith(AGAIN.encode()):  # sent while no host was connected
                        return body[8 + len(AGAIN)]
                    else:
                        return kind

            yield next_request
        self.serve()

    def close(self) -> None:
        self.near.shutdown(socket.SHUT_RDWR)
        self.near.close()
        assert self.sshfs.wait(PATIENCE) == 7
        if self.host is not None:
            self.host.end()


def _connect(path: Path) -> socket.socket:
    """Retries, because the socket's file exists shortly before sshfs listens."""
    connections: list[socket.socket] = []

    def is_connected() -> bool:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            connections.append(dial(path, PATIENCE))
        return bool(connections)

    wait_until(is_connected, PATIENCE)
    return connections[0]


def _packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    size, kind = struct.unpack(">IB", read(5))
    return kind, read(size - 1)


@pytest.fixture
def scene(line: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(line, tmp_path)
    yield made
    made.close()


def test_open_files_stay_open_across_a_restart(scene: Scene) -> None:
    (scene.folder / "read").write_bytes(b"0123456789")
    with scene.client.open("/read", "rb") as reading, scene.client.open("/new", "wb") as writing:
        assert reading.read(4) == b"0123"
        writing.write(b"one ")
        writing.flush()
        for word in (b"two ", b"three "):
            scene.restart_host()
            writing.write(word)
            writing.flush()
        assert reading.read(6) == b"456789"
    assert (scene.folder / "new").read_bytes() == b"one two three "
    assert len(scene.client.listdir("/")) == 2


def test_a_request_without_a_host_waits_for_the_next_host(scene: Scene) -> None:
    (scene.folder / "file").write_text("there")
    with ThreadPoolExecutor() as pool:
        scene.disconnect()
        response = pool.submit(lambda: scene.client.lstat("/file").st_size)
        scene.serve()
        assert response.result(PATIENCE) == 5


def test_unanswered_requests_are_sent_again_to_the_next_host(scene: Scene) -> None:
    file = scene.client.open("/file", "wb")
    file.set_pipelined(True)
    data = os.urandom(200_000)
    with ThreadPoolExecutor() as pool:
        with scene.silent_host() as next_request:
            written = pool.submit(lambda: file.write(data))
            assert [next_request() for _ in range(7)] == [CMD_WRITE] * 7  # 32 KiB each
        written.result(PATIENCE)
    file.close()
    assert (scene.folder / "file").read_bytes() == data


def test_a_repeated_request_that_was_carried_out_succeeds(scene: Scene) -> None:
    """The host carries out each request and does not answer; the next host gets it again."""
    folder, client = scene.folder, scene.client
    for name in ("gone", "old"):
        (folder / name).write_text("")
    operations: tuple[tuple[int, Callable[[], object], Callable[[], object]], ...] = (
        (CMD_REMOVE, lambda: client.remove("/gone"), (folder / "gone").unlink),
        (CMD_MKDIR, lambda: client.mkdir("/made"), (folder / "made").mkdir),
        (
            CMD_RENAME,
            lambda: client.rename("/old", "/fresh"),
            lambda: (folder / "old").rename(folder / "fresh"),
        ),
    )
    with ThreadPoolExecutor() as pool:
        for kind, ask, do in operations:
            with scene.silent_host() as next_request:
                response = pool.submit(ask)
                assert next_request() == kind
                do()
            response.result(PATIENCE)
    assert sorted(os.listdir(folder)) == ["fresh", "made"]
    with pytest.raises(OSError, match="No such"):
        client.remove("/gone")
    with pytest.raises(OSError, match="Failure"):
        client.mkdir("/made")


def test_a_repeated_request_that_was_not_carried_out_fails(scene: Scene) -> None:
    """The host carries out no request; meanwhile another program makes files."""
    folder, client = scene.folder, scene.client
    for name in ("folder", "file"):
        (folder / name).mkdir()
        (folder / name / "of-another").write_text("program")
    (folder / "file/mine").write_text("not yours")
    (folder / "link").symlink_to("elsewhere")
    operations: tuple[tuple[int, Callable[[], object]], ...] = (
        (CMD_MKDIR, lambda: client.mkdir("/folder")),
        (CMD_OPEN, lambda: client.open("/file/mine", "wxb")),
        (CMD_SYMLINK, lambda: client.symlink("there", "/link")),
        (CMD_RENAME, lambda: client.rename("/nothing", "/nowhere")),
    )
    with ThreadPoolExecutor() as pool:
        for kind, ask in operations:
            with scene.silent_host() as next_request:
                response = pool.submit(ask)
                assert next_request() == kind
            with pytest.raises(OSError, match=r"Failure|No such"):
                response.result(PATIENCE)
    assert (folder / "file/mine").read_text() == "not yours"


def test_a_repeated_exclusive_open_gives_the_file_that_was_created(scene: Scene) -> None:
    with ThreadPoolExecutor() as pool:
        with scene.silent_host() as next_request:
            opening = pool.submit(lambda: scene.client.open("/new", "wxb"))
            assert next_request() == CMD_OPEN
            (scene.folder / "new").touch()
        with opening.result(PATIENCE) as file:
            file.write(b"mine")
    assert (scene.folder / "new").read_bytes() == b"mine"
    with pytest.raises(OSError, match="Failure"):
        scene.client.open("/new", "wxb")


def test_a_listing_continues_after_a_restart(scene: Scene) -> None:
    names = {f"file{number}" for number in range(100)}
    for name in names:
        (scene.folder / name).touch()
    listing = cast(Any, scene.client).listdir_iter("/", read_aheads=1)
    names_read = [next(listing).filename for _ in range(20)]
    scene.restart_host()
    names_read += [entry.filename for entry in listing]
    assert (len(names_read), set(names_read)) == (100, names)


def test_a_renamed_open_file_is_found_by_its_new_name(scene: Scene) -> None:
    scene.client.mkdir("/a")
    with scene.client.open("/a/file", "wb") as inner, scene.client.open("/ab", "wb") as other:
        for old, new in (("/a/file", "/a/b"), ("/a", "/c")):
            scene.client.posix_rename(old, new)
        scene.restart_host()
        for file in (inner, other):
            file.write(b"here")
    assert (scene.folder / "c/b").read_bytes() == (scene.folder / "ab").read_bytes() == b"here"


def test_an_open_file_is_found_after_an_unanswered_rename(scene: Scene) -> None:
    """sshfs renames an open file that is removed; the host does so and does not answer."""
    with scene.client.open("/file", "wb", 0) as file, ThreadPoolExecutor() as pool:
        file.write(b"before ")
        with scene.silent_host() as next_request:
            response = pool.submit(lambda: scene.client.rename("/file", "/hidden"))
            assert next_request() == CMD_RENAME
            (scene.folder / "file").rename(scene.folder / "hidden")
        response.result(PATIENCE)
        file.write(b"after ")
        scene.restart_host()
        file.write(b"again")
    assert (scene.folder / "hidden").read_bytes() == b"before after again"


def test_a_file_that_replaced_an_open_file_is_not_used(scene: Scene) -> None:
    (scene.folder / "file").write_text("mine")
    with contextlib.suppress(OSError), scene.client.open("/file", "r+b", 0) as file:
        scene.disconnect()
        (scene.folder / "fresh").write_text("of another program")
        (scene.folder / "fresh").replace(scene.folder / "file")
        scene.serve()
        operations: tuple[Callable[[], object], ...] = (file.read, lambda: file.write(b"mine"))
        for work in operations:
            with pytest.raises(OSError, match="Invalid handle"):
                work()
    assert (scene.folder / "file").read_text() == "of another program"
    assert scene.client.listdir("/") == ["file"], "other requests still succeed"


def test_a_host_that_is_no_sftp_server_is_disconnected(scene: Scene) -> None:
    scene.disconnect()
    with _connect(scene.socket) as host:
        host.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with host.makefile("rb") as requests:
            assert _packet(requests.read)[0] == CMD_INIT
            with pytest.raises(ConnectionResetError):
                requests.read()
    scene.serve()
    assert scene.client.listdir("/") == []
