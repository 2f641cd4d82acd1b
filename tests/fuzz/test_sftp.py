"""Requests of a hostile guest to the server of a shared folder.

An input is the guest's data after the greeting. For every input, nothing outside of the share and
nothing private in it is read or changed; the size of a read and the number of open files stay
within bounds. Next: `vm/sftp/folder.py`.
"""

import os
import secrets
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko.sftp as ask
import pytest

from tests.fuzz.harness import Fuzz, Source
from tests.fuzz.streams import ScriptedStream
from vm.host import file_identity, open_files
from vm.host.open_files import Budget
from vm.sftp import server
from vm.sftp.server import AGAIN, CHECK_FILE, FSYNC, REOPEN
from vm.types import Share

SECRETS = (b"not for the guest", b"unseen", b"key of galley's")  # contents, and a name
LIMIT = 24  # descriptors of the process; a guest may use half
OURS = 4  # descriptors that a request may use for a moment
STEPS = ("", ".", "..", "a", "dir", "b", "out", "file-out", "up", "home", "key", "outside", "new")
PATHS = ("/a", "/dir/b", "/out", "/file-out", "/home/key", "/home", "/up/outside/key", "/new", "/")
HANDLES = (*(f"f-{number}" for number in range(4)), *(f"-{number}" for number in range(4)), "f-x")
INSIDE = sorted(("home", "dir", "a", "out", "file-out", "up", "fifo"))
FLAGS = (1, 2, 3, 0x1A, 0x2A, 0x1F, 0x3F)
SIZES = (0, 1, 100, 1 << 20, (1 << 32) - 1)
OFFSETS = (0, 1, 1 << 20, 1 << 31, (1 << 63) - 1, (1 << 64) - 1)


class World:
    """A share, created anew for each input, and files outside it."""

    def __init__(self, folder: Path) -> None:
        self.share = folder / "share"
        self.home = self.share / "home"
        self._folder = folder
        self._outside = folder / "outside"
        self._outside.mkdir(mode=0o700)
        (self._outside / "unseen").write_bytes(SECRETS[0])
        (self._outside / "key").write_bytes(SECRETS[0])
        self.make()

    def make(self) -> None:
        shutil.rmtree(self.share, ignore_errors=True)
        self.home.mkdir(parents=True)
        (self.home / "key").write_bytes(SECRETS[2])
        (self.share / "dir").mkdir()
        (self.share / "dir" / "b").write_bytes(b"b")
        (self.share / "a").write_bytes(b"a" * 100)
        (self.share / "out").symlink_to(self._outside)
        (self.share / "file-out").symlink_to(self._outside / "key")
        (self.share / "up").symlink_to("..")
        os.mkfifo(self.share / "fifo")

    def forbidden(self) -> list[tuple[object, ...]]:
        """The state of everything that may not change."""
        return [*self._seen(self._folder), *self._seen(self._outside), *self._seen(self.home)]

    def _seen(self, folder: Path) -> Iterator[tuple[object, ...]]:
        for path in (folder, *sorted(folder.iterdir())):
            if path == self.share:
                yield path, path.is_symlink()
                continue
            seen = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            yield path, seen.st_mode, seen.st_uid, content, path.parent == folder or seen.st_mtime


class CountingStream(ScriptedStream):
    """Counts the open descriptors at each answer."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.most = 0

    def sendall(self, data: bytes) -> None:
        super().sendall(data)
        self.most = max(self.most, len(os.listdir("/proc/self/fd")))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """In memory, because it is created some hundred times a second."""
    monkeypatch.setattr(open_files, "_limit", lambda: LIMIT)
    monkeypatch.setattr(file_identity, "of", lambda handle: "f")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield World(Path(folder))


def target(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    greeting = struct.pack(">IBI", 5, ask.CMD_INIT, 3)

    def run(data: bytes) -> None:
        names = (str(number) for number in range(1 << 20) if not _is_taken(number, data))
        monkeypatch.setattr(secrets, "token_hex", lambda size: next(names))
        before, read_only = world.forbidden(), data[:1] == b"R"
        stream, budget, held = (
            CountingStream(greeting + data[1:]),
            Budget(),
            os.listdir("/proc/self/fd"),
        )
        share = Share(str(world.share), "/there", read_only=read_only)
        server.serve(stream, share, (str(world.home),), budget)
        assert stream.is_closed
        assert world.forbidden() == before
        assert not [
            secret for secret in SECRETS if secret in stream.received and secret not in data
        ]
        assert budget._taken == 0
        assert stream.most - len(held) <= LIMIT // 2 + OURS
        if read_only:
            assert sorted(os.listdir(world.share)) == INSIDE
            assert (world.share / "a").read_bytes() == b"a" * 100
        else:
            world.make()

    return run


def _is_taken(number: int, data: bytes) -> bool:
    """Whether the input reopens a file under this handle; a guest cannot guess real handles."""
    return any(text(REOPEN) + text(f"{of_file}-{number}") in data for of_file in ("f", ""))


# Requests of a guest


def packet(kind: int, body: bytes, number: int = 7) -> bytes:
    content = struct.pack(">BI", kind, number) + body
    return struct.pack(">I", len(content)) + content


def text(string: str | bytes) -> bytes:
    data = os.fsencode(string)
    return struct.pack(">I", len(data)) + data


def requests(source: Source) -> bytes:
    began = source.pick((b"W", b"W", b"W", b"R"))
    return began + b"".join(source.some(16, lambda: packet(*_request(source))))


def _path(source: Source) -> bytes:
    if source.one_in(3):
        return text("/".join(source.some(4, lambda: source.pick(STEPS))))
    return text(source.pick(PATHS))


def _attributes(source: Source) -> bytes:
    flags = source.below(16)
    attributes = struct.pack(">I", flags)
    if flags & 1:
        attributes += struct.pack(">Q", source.pick(OFFSETS))
    if flags & 2:
        attributes += struct.pack(">II", source.below(1 << 32), source.below(1 << 32))
    if flags & 4:
        attributes += struct.pack(">I", source.below(1 << 16))
    if flags & 8:
        attributes += struct.pack(">II", 0, source.pick(SIZES))
    return attributes


def _request(source: Source) -> tuple[int, bytes]:
    path, attributes = _path(source), _attributes(source)
    handle = text(source.pick(source.pick((HANDLES, ("f-0", "-0")))))
    offset, size = struct.pack(">Q", source.pick(OFFSETS)), struct.pack(">I", source.pick(SIZES))
    flags = struct.pack(">I", source.pick(FLAGS))
    opened = (ask.CMD_OPEN, path + flags + attributes)
    plain = [
        *(opened, opened, (ask.CMD_OPENDIR, path), (ask.CMD_READDIR, text("-0"))),
        (ask.CMD_READDIR, handle),
        *((ask.CMD_READ, handle + offset + size), (ask.CMD_WRITE, handle + offset + text(b"new"))),
        *((kind, path) for kind in (ask.CMD_LSTAT, ask.CMD_STAT, ask.CMD_REMOVE, ask.CMD_RMDIR)),
        *((kind, path) for kind in (ask.CMD_REALPATH, ask.CMD_READLINK)),
        *((kind, path + attributes) for kind in (ask.CMD_MKDIR, ask.CMD_SETSTAT)),
        *((kind, handle) for kind in (ask.CMD_CLOSE, ask.CMD_FSTAT)),
        (ask.CMD_FSETSTAT, handle + attributes),
        (ask.CMD_RENAME, path + _path(source)),
        (ask.CMD_SYMLINK, text(source.pick(("../outside", "b", "/", ".."))) + path),
        (source.below(256), source.blob(40)),
    ]
    kind, body = source.pick(plain)
    reopened = text(REOPEN) + handle + path + struct.pack(">I", source.below(2)) + flags
    more = (
        *(text(FSYNC) + handle, reopened, text(AGAIN) + bytes([kind]) + body),
        text("posix-rename@openssh.com") + path + _path(source),
        text(CHECK_FILE) + handle + text("md5") + offset * 2 + size,
    )
    return (ask.CMD_EXTENDED, source.pick(more)) if source.one_in(3) else (kind, body)


def test_sftp(fuzz: Fuzz, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*map(text, HANDLES), text("/out"), text("/up/outside"), text(AGAIN), b"\xff" * 4]
    fuzz("sftp", target(world, monkeypatch), requests, words)
