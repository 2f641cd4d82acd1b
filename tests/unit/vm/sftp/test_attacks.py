"""Requests to the SFTP server that root in the guest can send, but a kernel does not."""

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, cast

import paramiko
import pytest
from paramiko import SFTPAttributes
from paramiko.sftp import (
    CMD_EXTENDED,
    CMD_MKDIR,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_STAT,
    SFTP_FLAG_READ,
)

from engine.bridge.unix import SocketStream
from tests.unit.vm.sftp.test_server import Named
from vm.host import beneath
from vm.host.open_files import Budget
from vm.sftp import server
from vm.sftp.server import AGAIN, REOPEN
from vm.types import Share

REFUSED = r"denied|Failure|No such"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared"
    made.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "secret").write_text("not yours")
    (tmp_path / "empty").mkdir(mode=0o700)
    return made


@pytest.fixture(params=["Linux", "macOS", "Windows"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Restricts the system calls to those of each host system."""
    name: str = request.param
    if name != "Linux":
        monkeypatch.setattr(beneath, "SEARCH", 0)
    if name == "Windows":
        monkeypatch.setattr(beneath, "BY_DESCRIPTOR", False)
        monkeypatch.setattr(beneath, "NO_FOLLOW", 0)
    return name


@contextlib.contextmanager
def served(
    folder: Path, *private: Path, budget: Budget | None = None
) -> Iterator[paramiko.SFTPClient]:
    ours, theirs = socket.socketpair()
    share = Share(str(folder), "/there")
    arguments = (SocketStream(ours), share, tuple(map(str, private)), budget)
    serving = threading.Thread(target=server.serve, args=arguments)
    serving.start()
    client = paramiko.SFTPClient(cast(paramiko.Channel, Named(fileno=theirs.detach())))
    try:
        yield client
    finally:
        client.close()
        serving.join(10)
    assert not serving.is_alive()


def send_request(client: paramiko.SFTPClient, kind: int, *arguments: Any) -> paramiko.Message:
    answer: paramiko.Message = cast(Any, client)._request(kind, *arguments)[1]
    return answer


def send_raw_request(client: paramiko.SFTPClient, kind: int, body: bytes) -> None:
    """Sends a request that paramiko's client does not have."""
    inner: Any = client
    number = inner.request_number
    inner._expecting[number] = type(None)
    inner.request_number += 1
    packet = paramiko.Message()
    packet.add_int(number)
    packet.add_bytes(body)
    inner._send_packet(kind, packet)
    inner._read_response(number)


def repeat_mkdir(client: paramiko.SFTPClient, path: str) -> None:
    packet = paramiko.Message()
    packet.add_string(AGAIN)
    packet.add_byte(bytes([CMD_MKDIR]))
    packet.add_string(path)
    cast(Any, with_mode(0o777))._pack(packet)
    send_raw_request(client, CMD_EXTENDED, packet.asbytes())


def open_file(client: paramiko.SFTPClient, path: str) -> bytes:
    return send_request(client, CMD_OPEN, path, SFTP_FLAG_READ, SFTPAttributes()).get_binary()


def with_mode(mode: int) -> SFTPAttributes:
    attr = SFTPAttributes()
    attr.st_mode = mode
    return attr


@pytest.mark.parametrize("position", ["last", "before"])
def test_a_listing_does_not_follow_a_link_out_of_the_share(folder: Path, position: str) -> None:
    (folder / "link").symlink_to(
        folder.parent if position == "before" else folder.parent / "outside"
    )
    path = "/link/outside" if position == "before" else "/link"
    with served(folder) as client:
        for arguments in ((CMD_OPENDIR, path), (CMD_EXTENDED, REOPEN, b"name", path, 1, 0)):
            with pytest.raises(OSError, match=REFUSED):
                send_request(client, *arguments)
        assert client.listdir("/") == ["link"]


def test_nothing_outside_a_share_changes_through_a_link(folder: Path) -> None:
    outside = folder.parent / "outside"
    empty = folder.parent / "empty"
    (folder / "link").symlink_to(outside)
    (folder / "none").symlink_to(outside / "new")
    (folder / "empty").symlink_to(empty)
    (folder / "file").write_text("mine")
    with served(folder) as client:
        for attempt in (
            partial(client.mkdir, "/link/new"),
            partial(client.symlink, "x", "/link/new"),
            partial(client.rename, "/file", "/link/new"),
            partial(client.rename, "/link/secret", "/new"),
            partial(client.remove, "/link/secret"),
            partial(client.rmdir, "/link/secret"),
            partial(client.open, "/none", "w"),
            partial(client.chmod, "/empty", 0o777),
            partial(client.utime, "/empty", (1, 1)),
            partial(client.readlink, "/link/secret"),
            partial(client.lstat, "/link/secret"),
            partial(send_request, client, CMD_STAT, "/link/secret"),
            partial(repeat_mkdir, client, "/empty"),
            partial(
                send_request, client, CMD_EXTENDED, REOPEN, b"n", "/link/secret", 0, SFTP_FLAG_READ
            ),
        ):
            with pytest.raises(OSError, match=REFUSED):
                attempt()
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "not yours"
    for there in (outside, empty):
        assert stat.S_IMODE(there.stat().st_mode) == 0o700
        assert there.stat().st_mtime > 1
    assert (folder / "file").read_text() == "mine"


def test_a_share_whose_folder_became_a_link_is_closed(folder: Path) -> None:
    """Root in the guest can replace the folder of a share that lies in another share."""
    inner = folder / "inner"
    inner.mkdir()
    with served(inner) as client:
        assert client.listdir("/") == []
        inner.rmdir()
        inner.symlink_to(folder.parent / "outside")
        with pytest.raises(OSError, match=REFUSED):
            client.listdir("/")
    with served(inner) as client, pytest.raises(OSError, match=REFUSED):
        client.open("/secret")


def test_a_parent_folder_that_becomes_a_link_is_not_followed(
    folder: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes one just before the last system call."""
    if system == "Windows":
        return  # it has no such call: see docs/dev/threat-model.md
    (folder / "parent").mkdir()
    plain = os.unlink

    def swap(name: str, *, dir_fd: int | None = None) -> None:
        (folder / "parent").rename(folder / "moved")
        (folder / "parent").symlink_to(folder.parent / "outside")
        plain(name, dir_fd=dir_fd)

    with served(folder) as client, monkeypatch.context() as patched:
        patched.setattr(os, "unlink", swap)
        with pytest.raises(FileNotFoundError):
            client.remove("/parent/secret")
    assert (folder.parent / "outside" / "secret").exists()


def test_every_request_for_a_private_path_is_refused(folder: Path) -> None:
    home = folder / "home"
    (home / "run").mkdir(parents=True)
    (home / "run" / "key").write_text("secret")
    (home / "link").symlink_to("run")
    (folder / "mine").write_text("mine")
    with served(folder, home) as client:
        for path in ("/home", "/home/run", "/home/run/key", "/home/link", "/home/new"):
            for attempt in (
                partial(client.lstat, path),
                partial(send_request, client, CMD_STAT, path),
                partial(client.listdir, path),
                partial(client.open, path),
                partial(client.open, path, "w"),
                partial(client.rename, path, "/taken"),
                partial(client.rename, "/mine", path),
                partial(client.posix_rename, "/mine", path),
                partial(client.readlink, path),
                partial(client.symlink, "mine", path),
                partial(client.mkdir, path),
                partial(client.rmdir, path),
                partial(client.remove, path),
                partial(client.chmod, path, 0o777),
                partial(client.truncate, path, 0),
                partial(repeat_mkdir, client, path),
                partial(send_request, client, CMD_EXTENDED, REOPEN, b"n", path, 0, SFTP_FLAG_READ),
                partial(send_request, client, CMD_EXTENDED, REOPEN, b"n", path, 1, 0),
            ):
                with pytest.raises(OSError, match="denied"):
                    attempt()
    assert sorted(os.listdir(home)) == ["link", "run"]
    assert (home / "run" / "key").read_text() == "secret"
    with served(home / "run", home) as client, pytest.raises(OSError, match="denied"):
        client.open("/key")


def test_only_regular_files_are_opened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    with served(folder) as client:
        for path in ("/fifo", "/folder"):
            with pytest.raises(PermissionError):
                open_file(client, path)


@pytest.mark.parametrize("part", [r"..\x", "C:", "C:x", "file:stream", r"a\b", r"\x"])
def test_a_windows_path_is_not_a_name(part: str) -> None:
    assert beneath.is_one_name(part)
    assert not beneath.is_one_name(part, PureWindowsPath)
    assert beneath.is_one_name("name.txt", PureWindowsPath)


@pytest.mark.parametrize("call", ["open", "scandir"])
def test_a_path_that_becomes_a_link_during_a_request_is_refused(
    folder: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system follows the link, the server compares what it opened."""
    place = folder / "place"
    outside = folder.parent / "outside"
    if call == "open":
        place.write_text("mine")
        outside = outside / "secret"
    else:
        place.mkdir()
    plain = getattr(os, call)

    def swap(name: str | int, *arguments: Any, **more: Any) -> Any:
        if str(name).endswith("place") and not place.is_symlink():
            place.rename(folder / "moved")
            place.symlink_to(outside)
        return plain(name, *arguments, **more)

    with served(folder) as client, monkeypatch.context() as patched:
        patched.setattr(os, call, swap)
        if call == "open":
            with pytest.raises(OSError, match=REFUSED):
                client.open("/place", "w")
        elif not beneath.BY_DESCRIPTOR:  # otherwise the folder is open before it is read
            with pytest.raises(OSError, match=REFUSED):
                client.listdir("/place")
    assert (folder.parent / "outside" / "secret").read_text() == "not yours"


def test_no_mode_is_changed_through_a_link(folder: Path) -> None:
    empty = folder.parent / "empty"
    (folder / "link").symlink_to(empty)
    with beneath.find(folder, ["link"], frozenset()) as place, pytest.raises(PermissionError):
        beneath.change_mode(place, 0o777)
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700
