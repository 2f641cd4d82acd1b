"""The SFTP server of a shared folder, with paramiko's own client over a socket pair."""

import contextlib
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko import SFTPAttributes
from paramiko.sftp import CMD_CLOSE, CMD_EXTENDED, CMD_INIT, CMD_OPENDIR, CMD_READDIR

from engine.bridge.unix import SocketStream
from vm.sftp import server
from vm.sftp.server import FSYNC
from vm.types import Share


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared"
    made.mkdir()
    (tmp_path / "secret").write_text("not yours")
    return made


@pytest.fixture
def client(folder: Path) -> Iterator[paramiko.SFTPClient]:
    yield from _client(Share(str(folder), "/there"))


@pytest.fixture
def read_only_client(folder: Path) -> Iterator[paramiko.SFTPClient]:
    yield from _client(Share(str(folder), "/there", read_only=True))


class Named(socket.socket):
    """A socket with the method of a channel that paramiko's client calls."""

    def get_name(self) -> str:
        return "test"


def _client(share: Share, *private: str) -> Iterator[paramiko.SFTPClient]:
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=server.serve, args=(SocketStream(ours), share, private))
    serving.start()
    client = paramiko.SFTPClient(cast(paramiko.Channel, Named(fileno=theirs.detach())))
    yield client
    client.close()
    serving.join(10)
    assert not serving.is_alive()


def test_files_are_made_read_changed_and_removed(client: paramiko.SFTPClient, folder: Path) -> None:
    client.mkdir("/a", 0o711)
    with client.open("/a/file", "w") as file:
        file.write(b"x" * 300_000)
    assert (folder / "a/file").read_bytes() == b"x" * 300_000
    client.truncate("/a/file", 3)
    client.chmod("/a/file", 0o640)
    client.utime("/a/file", (1_000, 2_000))
    seen = client.lstat("/a/file")
    assert (seen.st_size, seen.st_mode, seen.st_mtime) == (3, stat.S_IFREG | 0o640, 2_000)
    client.rename("/a/file", "/a/雪")
    (folder / "a/other").write_text("other")
    client.rename("/a/雪", "/a/other")  # replaces an existing file
    assert client.listdir("/a") == ["other"]
    with client.open("/a/other") as file:
        assert file.read() == b"xxx"
    client.symlink("other", "/a/link")
    assert client.readlink("/a/link") == "other"
    for name in ("link", "other"):
        client.remove(f"/a/{name}")
    client.rmdir("/a")
    assert list(folder.iterdir()) == []


def test_writes_go_to_their_offset_and_leave_holes(
    client: paramiko.SFTPClient, folder: Path
) -> None:
    with client.open("/sparse", "wb") as file:
        file.seek(5 << 30)
        file.write(b"end")
    there = (folder / "sparse").stat()
    assert there.st_size == (5 << 30) + 3
    assert there.st_blocks < 1024


@pytest.mark.parametrize("path", ["/../secret", "/out/secret", "/secret-link", "/a/../../secret"])
def test_nothing_outside_a_share_is_reached(
    client: paramiko.SFTPClient, folder: Path, path: str
) -> None:
    (folder / "out").symlink_to(folder.parent)
    (folder / "secret-link").symlink_to(folder.parent / "secret")
    secret = folder.parent / "secret"
    for attempt in (
        lambda: client.open(path).read(),
        lambda: client.open(path, "r+").write(b"mine"),
        lambda: client.chmod(path, 0o777),
        lambda: client.truncate(path, 0),
    ):
        with pytest.raises(OSError, match=r"denied|Failure|No such"):
            attempt()
    assert secret.read_text() == "not yours"
    assert secret.stat().st_mode & 0o777 != 0o777


def test_a_read_only_share_cannot_be_changed(
    read_only_client: paramiko.SFTPClient, folder: Path
) -> None:
    (folder / "file").write_text("here")
    with read_only_client.open("/file") as file:
        assert file.read() == b"here"
    for attempt in (
        lambda: read_only_client.open("/file", "w"),
        lambda: read_only_client.open("/new", "x"),
        lambda: read_only_client.remove("/file"),
        lambda: read_only_client.rename("/file", "/other"),
        lambda: read_only_client.mkdir("/folder"),
        lambda: read_only_client.symlink("file", "/link"),
        lambda: read_only_client.chmod("/file", 0o600),
    ):
        with pytest.raises(PermissionError):
            attempt()
    assert os.listdir(folder) == ["file"]


def test_a_large_folder_is_listed_completely(client: paramiko.SFTPClient, folder: Path) -> None:
    names = {f"n{number}" for number in range(500)}
    for name in names:
        (folder / name).touch()
    assert set(client.listdir("/")) == names
    with pytest.raises(FileNotFoundError):
        client.listdir("/none")


ODD = b"not \xff UTF-8"


def names(client: paramiko.SFTPClient, path: bytes) -> list[bytes]:
    """Lists as sshfs does: paramiko's own client takes names in UTF-8 only."""
    request = cast(Any, client)._request
    handle = request(CMD_OPENDIR, path)[1].get_binary()
    found = []
    with contextlib.suppress(EOFError):
        while True:
            reply = request(CMD_READDIR, handle)[1]
            for _ in range(reply.get_int()):
                found.append(reply.get_string())
                reply.get_string()
                cast(Any, SFTPAttributes)._from_msg(reply)
    request(CMD_CLOSE, handle)
    return found


def test_a_name_that_is_not_utf_8_is_kept_unchanged(
    client: paramiko.SFTPClient, folder: Path
) -> None:
    there = os.path.join(os.fsencode(folder), ODD)
    os.mkdir(there)
    (folder / "other").touch()
    assert sorted(names(client, b"/")) == [ODD, b"other"]
    with client.open(b"/" + ODD + b"/" + ODD, "w") as file:
        file.write(b"x")
    client.symlink(cast(str, ODD), cast(str, b"/" + ODD + b"/link"))
    assert cast(Any, client).readlink(b"/" + ODD + b"/link") == ODD
    assert sorted(os.listdir(there)) == [b"link", ODD]
    assert sorted(names(client, b"/" + ODD)) == [b"link", ODD]
    assert client.lstat(b"/" + ODD + b"/" + ODD).st_size == 1
    client.rename(cast(str, b"/" + ODD + b"/" + ODD), "/file")
    assert (folder / "file").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("second", "seen"), [(-1, 0), (-1_000_000_000, 0), (1 << 33, (1 << 32) - 1), (2**31, 2**31)]
)
def test_a_time_outside_sftps_range_is_clamped_and_hides_no_entry(
    client: paramiko.SFTPClient, folder: Path, second: int, seen: int
) -> None:
    (folder / "old").touch()
    (folder / "other").touch()
    os.utime(folder / "old", (second, second))
    assert os.stat(folder / "old").st_mtime == second
    assert sorted(client.listdir("/")) == ["old", "other"]
    with client.open("/old") as file:
        for found in (client.lstat("/old"), file.stat()):
            assert (found.st_atime, found.st_mtime) == (seen, seen)


def test_the_fsync_extension_syncs_the_file(
    client: paramiko.SFTPClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(_identity(os.fstat(handle))))
    request = cast(Any, client)._request
    with client.open("/file", "w") as file:
        file.write(b"x")
        file.flush()
        request(CMD_EXTENDED, FSYNC, file.handle)
    assert synced == [_identity((folder / "file").stat())]
    for unknown in ((FSYNC, b"no handle"), ("hardlink@example.com", b"/a", b"/b")):
        with pytest.raises(OSError, match=r"Bad message|unsupported"):
            request(CMD_EXTENDED, *unknown)


def _identity(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_dev, seen.st_ino


def test_the_server_announces_its_extensions(folder: Path) -> None:
    """sshfs uses only the extensions that the server announces."""
    ours, theirs = socket.socketpair()
    share = Share(str(folder), "/there")
    serving = threading.Thread(target=server.serve, args=(SocketStream(ours), share))
    serving.start()
    with theirs:
        theirs.sendall(struct.pack(">IBI", 5, CMD_INIT, 3))
        reply = paramiko.Message(theirs.recv(1000)[9:])
    serving.join(10)
    extensions = []
    while reply.get_remainder():
        extensions.append(reply.get_text())
    assert dict(zip(extensions[::2], extensions[1::2], strict=True))[FSYNC] == "1"


@contextlib.contextmanager
def client_without(folder: Path, private: Path) -> Iterator[paramiko.SFTPClient]:
    serving = _client(Share(str(folder), "/there"), str(private))
    yield next(serving)
    assert next(serving, None) is None


def test_a_private_folder_is_refused_under_every_name(folder: Path) -> None:
    home = folder / "local" / "galley"
    (home / "machine").mkdir(parents=True)
    (home / "machine" / "key").write_text("secret")
    (folder / "link").symlink_to(home)
    with client_without(folder, home) as client:
        client.rename("/local", "/renamed")
        (folder / "link").unlink()
        (folder / "link").symlink_to(folder / "renamed" / "galley")
        assert client.listdir("/renamed") == ["galley"]
        for path in ("/renamed/galley", "/renamed/galley/machine/key", "/link/machine/key"):
            attempts: tuple[Callable[[], object], ...] = (
                partial(client.lstat, path),
                partial(client.listdir, path),
                partial(client.open, path),
                partial(client.open, path, "w"),
                partial(client.remove, path),
                partial(client.rename, path, "/taken"),
                partial(client.symlink, "/x", f"{path}/new"),
            )
            for attempt in attempts:
                with pytest.raises(OSError, match="denied"):
                    attempt()
    assert (folder / "renamed" / "galley" / "machine" / "key").read_text() == "secret"


def test_owners_are_those_of_containers_with_a_user_namespace(folder: Path) -> None:
    """Needs root."""
    (folder / "file").write_text("")
    os.chown(folder / "file", 1234, 4321)
    ours, theirs = socket.socketpair()
    words = (SocketStream(ours), Share(str(folder), "/there"), (), None, 1_000_000)
    serving = threading.Thread(target=server.serve, args=words)
    serving.start()
    client = paramiko.SFTPClient(cast(paramiko.Channel, Named(fileno=theirs.detach())))
    seen = client.lstat("/file")
    assert (seen.st_uid, seen.st_gid) == (1_001_234, 1_004_321)
    [listed] = client.listdir_attr("/")
    assert (listed.st_uid, listed.st_gid) == (1_001_234, 1_004_321)
    client.chown("/file", 1_000_055, 1_000_066)
    with client.open("/file") as file:
        assert file.stat().st_uid == 1_000_055
        file.chown(1_000_077, 88)
    assert ((folder / "file").stat().st_uid, (folder / "file").stat().st_gid) == (77, 88)
    client.close()
    serving.join(10)
