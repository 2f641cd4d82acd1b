"""The connection between an sshfs and the supervisor: it survives the end of the supervisor.

What serves is `vm/sftp/server.py` itself. In sshfs's place is paramiko's client, by way of a
program that is as sshfs is: one thread writes whole requests, another reads the answers, once one
was written.
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
there = socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
asked = there.makefile("rb")
def ask():
    length = asked.read(4)
    os.writev(1, [length, asked.read(int.from_bytes(length))]) if length else os._exit(7)
def ask_on():
    while True:
        ask()
ask()
threading.Thread(target=ask_on).start()
while True:
    there.sendall(os.read(0, 5))
"""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is to be loaded before all else."""
    made = tmp_path_factory.mktemp("line") / "sftp_line.so"
    source = FILES / "source" / "sftp_line.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", *CHECKS, "-o", made, source], check=True)
    names = [f"-print-file-name=lib{name}.so" for name in ("asan", "ubsan")]
    own = [subprocess.check_output(["cc", name], text=True).strip() for name in names]
    return ":".join([*own, str(made)])


class Host:
    """Serves the folder to who waits at `place`, until it is cut off."""

    def __init__(self, place: Path, share: Share) -> None:
        self.stream = SocketStream(_reach(place))
        self._thread = threading.Thread(target=server.serve, args=(self.stream, share))
        self._thread.start()

    def end(self) -> None:
        self.stream.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class Scene:
    """`client` is what the guest's kernel would be."""

    def __init__(self, line: str, place: Path) -> None:
        self.share = Share(str(place / "shared"), "/there")
        self.folder = Path(self.share.host_path)
        self.folder.mkdir()
        self.socket = place / "line"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(place / "client"))
        listening.listen(1)
        listening.settimeout(PATIENCE)
        words = [sys.executable, "-S", "-c", SSHFS, str(place / "client")]
        own = {"LD_PRELOAD": line, "GALLEY_LINE": str(self.socket), "ASAN_OPTIONS": NO_LEAKS}
        self.sshfs = subprocess.Popen(words, env=own)
        self.host: Host | None = None
        near, _ = listening.accept()
        listening.close()
        self.near = Named(fileno=near.detach())
        with ThreadPoolExecutor() as beside:  # each waits for the other
            beside.submit(self.serve)
            self.client = paramiko.SFTPClient(cast(paramiko.Channel, self.near))

    def serve(self) -> None:
        self.host = Host(self.socket, self.share)

    def cut_off(self) -> None:
        assert self.host is not None
        self.host.end()
        self.host = None

    def another(self) -> None:
        self.cut_off()
        self.serve()

    @contextlib.contextmanager
    def deaf(self) -> Iterator[Callable[[], int]]:
        """A host that says nothing of what it is asked. Given: the next request's kind."""
        self.cut_off()
        with _reach(self.socket) as there, there.makefile("rb") as said:

            def heard() -> int:
                while True:
                    kind, body = _packet(said.read)
                    if kind == CMD_INIT:
                        there.sendall(struct.pack(">IBI", 5, CMD_VERSION, 3))
                    elif body[8:].startswith(REOPEN.encode()):
                        there.sendall(struct.pack(">IBIIII", 17, CMD_STATUS, 0, 0, 0, 0))
                    elif body[8:].startswith(AGAIN.encode()):  # it came while nobody was there
                        return body[8 + len(AGAIN)]
                    else:
                        return kind

            yield heard
        self.serve()

    def close(self) -> None:
        self.near.shutdown(socket.SHUT_RDWR)
        self.near.close()
        assert self.sshfs.wait(PATIENCE) == 7
        if self.host is not None:
            self.host.end()


def _reach(place: Path) -> socket.socket:
    """Its file is there a moment before it listens."""
    reached: list[socket.socket] = []

    def is_reached() -> bool:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            reached.append(dial(place, PATIENCE))
        return bool(reached)

    wait_until(is_reached, PATIENCE)
    return reached[0]


def _packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    size, kind = struct.unpack(">IB", read(5))
    return kind, read(size - 1)


@pytest.fixture
def scene(line: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(line, tmp_path)
    yield made
    made.close()


def test_what_is_open_stays_open(scene: Scene) -> None:
    (scene.folder / "read").write_bytes(b"0123456789")
    with scene.client.open("/read", "rb") as reading, scene.client.open("/new", "wb") as writing:
        assert reading.read(4) == b"0123"
        writing.write(b"one ")
        writing.flush()
        for word in (b"two ", b"three "):
            scene.another()
            writing.write(word)
            writing.flush()
        assert reading.read(6) == b"456789"
    assert (scene.folder / "new").read_bytes() == b"one two three "
    assert len(scene.client.listdir("/")) == 2


def test_who_asks_while_nobody_serves_waits_for_the_next(scene: Scene) -> None:
    (scene.folder / "file").write_text("there")
    with ThreadPoolExecutor() as beside:
        scene.cut_off()
        asked = beside.submit(lambda: scene.client.lstat("/file").st_size)
        scene.serve()
        assert asked.result(PATIENCE) == 5


def test_what_one_did_not_answer_the_next_one_does(scene: Scene) -> None:
    file = scene.client.open("/file", "wb")
    file.set_pipelined(True)
    data = os.urandom(200_000)
    with ThreadPoolExecutor() as beside:
        with scene.deaf() as heard:
            written = beside.submit(lambda: file.write(data))
            assert [heard() for _ in range(7)] == [CMD_WRITE] * 7  # 32 KiB each
        written.result(PATIENCE)
    file.close()
    assert (scene.folder / "file").read_bytes() == data


def test_what_was_done_is_not_refused_for_having_been_done(scene: Scene) -> None:
    """Asked, done, and never answered: the file is gone, the folder is made, the name is new."""
    folder, client = scene.folder, scene.client
    for name in ("gone", "old"):
        (folder / name).write_text("")
    works: tuple[tuple[int, Callable[[], object], Callable[[], object]], ...] = (
        (CMD_REMOVE, lambda: client.remove("/gone"), (folder / "gone").unlink),
        (CMD_MKDIR, lambda: client.mkdir("/made"), (folder / "made").mkdir),
        (
            CMD_RENAME,
            lambda: client.rename("/old", "/fresh"),
            lambda: (folder / "old").rename(folder / "fresh"),
        ),
    )
    with ThreadPoolExecutor() as beside:
        for kind, ask, do in works:
            with scene.deaf() as heard:
                asked = beside.submit(ask)
                assert heard() == kind
                do()
            asked.result(PATIENCE)
    assert sorted(os.listdir(folder)) == ["fresh", "made"]
    with pytest.raises(OSError, match="No such"):
        client.remove("/gone")
    with pytest.raises(OSError, match="Failure"):
        client.mkdir("/made")


def test_what_was_not_done_is_not_taken_for_it(scene: Scene) -> None:
    """Asked, and never done; meanwhile somebody here has made what cannot be ours."""
    folder, client = scene.folder, scene.client
    for name in ("folder", "file"):
        (folder / name).mkdir()
        (folder / name / "of-somebody").write_text("else")
    (folder / "file/mine").write_text("not yours")
    (folder / "link").symlink_to("elsewhere")
    works: tuple[tuple[int, Callable[[], object]], ...] = (
        (CMD_MKDIR, lambda: client.mkdir("/folder")),
        (CMD_OPEN, lambda: client.open("/file/mine", "wxb")),
        (CMD_SYMLINK, lambda: client.symlink("there", "/link")),
        (CMD_RENAME, lambda: client.rename("/nothing", "/nowhere")),
    )
    with ThreadPoolExecutor() as beside:
        for kind, ask in works:
            with scene.deaf() as heard:
                asked = beside.submit(ask)
                assert heard() == kind
            with pytest.raises(OSError, match=r"Failure|No such"):
                asked.result(PATIENCE)
    assert (folder / "file/mine").read_text() == "not yours"


def test_a_new_file_that_was_made_is_the_one_that_was_asked_for(scene: Scene) -> None:
    with ThreadPoolExecutor() as beside:
        with scene.deaf() as heard:
            opening = beside.submit(lambda: scene.client.open("/new", "wxb"))
            assert heard() == CMD_OPEN
            (scene.folder / "new").touch()
        with opening.result(PATIENCE) as file:
            file.write(b"mine")
    assert (scene.folder / "new").read_bytes() == b"mine"
    with pytest.raises(OSError, match="Failure"):
        scene.client.open("/new", "wxb")


def test_a_listing_goes_on_where_it_was(scene: Scene) -> None:
    names = {f"file{number}" for number in range(100)}
    for name in names:
        (scene.folder / name).touch()
    listing = cast(Any, scene.client).listdir_iter("/", read_aheads=1)
    told = [next(listing).filename for _ in range(20)]
    scene.another()
    told += [entry.filename for entry in listing]
    assert (len(told), set(told)) == (100, names)


def test_what_was_renamed_is_found_by_its_new_name(scene: Scene) -> None:
    scene.client.mkdir("/a")
    with scene.client.open("/a/file", "wb") as inner, scene.client.open("/ab", "wb") as other:
        for old, new in (("/a/file", "/a/b"), ("/a", "/c")):
            scene.client.posix_rename(old, new)
        scene.another()
        for file in (inner, other):
            file.write(b"here")
    assert (scene.folder / "c/b").read_bytes() == (scene.folder / "ab").read_bytes() == b"here"


def test_what_was_about_to_be_renamed_is_found(scene: Scene) -> None:
    """As when it is removed while it is open: nobody has said that it was done."""
    with scene.client.open("/file", "wb", 0) as file, ThreadPoolExecutor() as beside:
        file.write(b"before ")
        with scene.deaf() as heard:
            asked = beside.submit(lambda: scene.client.rename("/file", "/hidden"))
            assert heard() == CMD_RENAME
            (scene.folder / "file").rename(scene.folder / "hidden")
        asked.result(PATIENCE)
        file.write(b"after ")
        scene.another()
        file.write(b"again")
    assert (scene.folder / "hidden").read_bytes() == b"before after again"


def test_another_file_in_its_place_is_not_taken_for_it(scene: Scene) -> None:
    (scene.folder / "file").write_text("mine")
    with contextlib.suppress(OSError), scene.client.open("/file", "r+b", 0) as file:
        scene.cut_off()
        (scene.folder / "fresh").write_text("of somebody else")
        (scene.folder / "fresh").replace(scene.folder / "file")
        scene.serve()
        works: tuple[Callable[[], object], ...] = (file.read, lambda: file.write(b"mine"))
        for work in works:
            with pytest.raises(OSError, match="Invalid handle"):
                work()
    assert (scene.folder / "file").read_text() == "of somebody else"
    assert scene.client.listdir("/") == ["file"], "and all else goes on"


def test_a_host_that_is_none_is_left(scene: Scene) -> None:
    scene.cut_off()
    with _reach(scene.socket) as there:
        there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with there.makefile("rb") as said:
            assert _packet(said.read)[0] == CMD_INIT
            with pytest.raises(ConnectionResetError):
                said.read()
    scene.serve()
    assert scene.client.listdir("/") == []
