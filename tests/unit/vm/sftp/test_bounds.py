"""What the SFTP server spends on one request of root in the guest, and on many."""

import contextlib
import os
import resource
import socket
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko import SFTPAttributes
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_EXTENDED,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_SETSTAT,
    CMD_STAT,
    SFTP_FLAG_READ,
    int64,
)

from tests.unit.vm.sftp.test_attacks import open_file, send_raw_request, send_request, served
from vm.host.open_files import Budget
from vm.sftp.server import REOPEN

LARGE = 32 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_one_read_returns_at_most_256_kib(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(LARGE)
    tracemalloc.start()
    try:
        with served(folder) as client:
            handle = open_file(client, "/sparse")
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            reply = send_request(
                client, CMD_READ, handle, int64(LARGE // 2), 0xFFFFFFFF
            ).get_string()
            assert len(reply) == 256 << 10
            assert tracemalloc.get_traced_memory()[1] - before < LARGE // 8
    finally:
        tracemalloc.stop()


def test_a_listing_is_sent_in_parts(folder: Path) -> None:
    names = {f"n{number}" for number in range(2_000)}
    for name in names:
        (folder / name).touch()
    with served(folder) as client:
        handle = send_request(client, CMD_OPENDIR, "/").get_binary()
        seen = set()
        with contextlib.suppress(EOFError):
            while True:
                reply = send_request(client, CMD_READDIR, handle)
                number = reply.get_int()
                assert 0 < number <= 100
                for _ in range(number):
                    seen.add(reply.get_text())
                    reply.get_string()
                    cast(Any, SFTPAttributes)._from_msg(reply)
        assert seen == names
        tracemalloc.start()
        try:
            handles = [send_request(client, CMD_OPENDIR, "/").get_binary() for _ in range(20)]
            assert tracemalloc.get_traced_memory()[0] < 2 << 20, (
                "no listing is in memory as a whole"
            )
        finally:
            tracemalloc.stop()
        for handle in handles:
            close(client, handle)


def close(client: paramiko.SFTPClient, handle: bytes) -> None:
    send_raw_request(client, CMD_CLOSE, len(handle).to_bytes(4, "big") + handle)


@contextlib.contextmanager
def file_limit(number: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_all_shares_together_open_half_of_the_file_limit(folder: Path) -> None:
    (folder / "file").touch()
    limit = 2 * len(os.listdir("/proc/self/fd")) + 100
    budget = Budget()
    handles: list[tuple[paramiko.SFTPClient, bytes]] = []
    with (
        served(folder, budget=budget) as one,
        served(folder, budget=budget) as two,
        file_limit(limit),
    ):
        for number in range(limit // 2):
            client = (one, two)[number % 2]
            handles.append((client, open_file(client, "/file")))
        for arguments in (
            (CMD_OPEN, "/file", SFTP_FLAG_READ, SFTPAttributes()),
            (CMD_OPENDIR, "/"),
            (CMD_EXTENDED, REOPEN, b"n", "/", 1, 0),
            (CMD_EXTENDED, REOPEN, b"n", "/file", 0, SFTP_FLAG_READ),
        ):
            for client in (one, two):
                with pytest.raises(OSError, match="Failure"):
                    send_request(client, *arguments)
        socket.socket().close()  # the process can still open files
        assert one.lstat("/file").st_size == 0
        for _ in range(2):
            close(*handles.pop())
        listing = send_request(two, CMD_OPENDIR, "/").get_binary()
        with pytest.raises(OSError, match="Failure"):
            open_file(one, "/file")
        close(two, listing)
        for _ in range(2):
            open_file(one, "/file")
    # The budget of a connection is returned when it ends.
    with served(folder, budget=budget) as client, file_limit(limit):
        for _ in range(limit // 2):
            open_file(client, "/file")


def test_a_refused_open_uses_no_budget(folder: Path) -> None:
    (folder / "file").touch()
    with served(folder) as client, file_limit(len(os.listdir("/proc/self/fd")) + 60):
        for _ in range(100):
            for attempt in (partial(open_file, client, "/none"), partial(client.listdir, "/file")):
                with pytest.raises(FileNotFoundError):
                    attempt()
        close(client, open_file(client, "/file"))


def test_a_truncated_request_is_refused_at_once(folder: Path) -> None:
    """It announces 2**32 - 1 attributes, and none follows."""
    packet = paramiko.Message()
    packet.add_string("/")
    packet.add_int(0x80000000)
    packet.add_int(0xFFFFFFFF)
    with served(folder) as client, pytest.raises(OSError, match="Failure"):
        send_raw_request(client, CMD_SETSTAT, packet.asbytes())


def test_no_request_hashes_a_file(folder: Path) -> None:
    (folder / "file").write_text("x")
    with served(folder) as client:
        handle = open_file(client, "/file")
        with pytest.raises(OSError, match="unsupported"):
            send_request(
                client, CMD_EXTENDED, "check-file", handle, "md5", int64(0), int64(1 << 40), 256
            )


def test_a_request_of_one_mib_ends_the_connection(folder: Path) -> None:
    with served(folder) as client, pytest.raises((paramiko.SSHException, ConnectionError)):
        send_request(client, CMD_STAT, "x" * (1 << 20))
