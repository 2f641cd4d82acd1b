"""The guest over ssh, with a real sshd in its place."""

import contextlib
import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.bridge.servers import Sshd, wait_until
from vm.errors import GuestChanged, GuestUnreachable, MachineError
from vm.guest.protocol import Size
from vm.guest.ssh import WINDOW, SshGuest, make_key, public_blob
from vm.host.process import TimedOut
from vm.types import Address


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="galley-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def sshd(folder: Path) -> Iterator[Sshd]:
    server = Sshd(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guest(sshd: Sshd) -> Iterator[SshGuest]:
    made = sshd.guest()
    yield made
    made.close()


@pytest.fixture
def echo(folder: Path) -> Iterator[Path]:
    """A Unix socket that sends back all data once its client half-closes."""
    path = folder / "echo.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve(accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            data = b"".join(iter(lambda: accepted.recv(1 << 20), b""))
            accepted.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted = listening.accept()[0]
                threading.Thread(target=serve, args=(accepted,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield path
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


# Keys

SLOW = """
AuthorizedKeysFile none
AuthorizedKeysCommand /usr/bin/sleep 60
AuthorizedKeysCommandUser root
"""


def test_keys_are_made_once_and_kept_private(folder: Path) -> None:
    key, public = folder / "a", folder / "a.pub"
    make_key(key, public)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    first = public_blob(public)
    assert first.startswith("AAAAC3NzaC1lZDI1NTE5")
    make_key(key, public)
    assert public_blob(public) == first


def test_another_host_key_is_refused(sshd: Sshd, guest: SshGuest) -> None:
    make_key(sshd.folder / "other", sshd.folder / "other.pub")
    sshd.known_host.write_text(f"ssh-ed25519 {public_blob(sshd.folder / 'other.pub')}\n")
    with pytest.raises(GuestChanged):
        guest.connect(5)
    assert "Accepted" not in sshd.log()


@pytest.mark.parametrize("text", [None, "", "ssh-ed25519", "ssh-ed25519 not/base64!"])
def test_without_a_pinned_key_nothing_is_trusted(
    sshd: Sshd, guest: SshGuest, text: str | None
) -> None:
    sshd.known_host.unlink()
    if text is not None:
        sshd.known_host.write_text(text)
    with pytest.raises(GuestUnreachable, match="not known yet"):
        guest.connect(5)


def test_a_login_key_that_the_guest_rejects_is_reported(sshd: Sshd) -> None:
    make_key(sshd.folder / "other", sshd.folder / "other.pub")
    guest = SshGuest(sshd.address, sshd.folder / "other", sshd.known_host)
    with pytest.raises(GuestUnreachable, match="rejects Galley's key"):
        guest.connect(5)


def test_a_slow_login_is_not_reported_as_a_rejected_key(sshd: Sshd, guest: SshGuest) -> None:
    """The guest takes too long to look up the key."""
    sshd.stop()
    sshd.add(SLOW)
    sshd.start()
    with pytest.raises(GuestUnreachable, match="Authentication timeout"):
        guest.connect(1)


# Connecting


def test_connect_without_a_guest_times_out(sshd: Sshd, guest: SshGuest) -> None:
    sshd.stop()
    started = time.monotonic()
    with pytest.raises(GuestUnreachable):
        guest.connect(0.3)
    assert time.monotonic() - started < 1.5


def test_connect_to_a_silent_port_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, tempfile.TemporaryDirectory() as name:
        key, public = Path(name, "a"), Path(name, "a.pub")
        make_key(key, public)
        guest = SshGuest(Address(*silent.getsockname()[:2]), key, public)
        started = time.monotonic()
        with pytest.raises(GuestUnreachable):
            guest.connect(0.5)
        assert time.monotonic() - started < 2.0


def test_connect_waits_for_a_slow_guest(sshd: Sshd, guest: SshGuest) -> None:
    sshd.stop()
    late = threading.Thread(target=sshd.start)
    late.start()
    guest.connect(10)
    late.join()


def test_close_ends_a_connect_that_waits(sshd: Sshd) -> None:
    sshd.stop()
    guest = sshd.guest()
    failed: list[GuestUnreachable] = []

    def connect() -> None:
        try:
            guest.connect(30)
        except GuestUnreachable as error:
            failed.append(error)

    waiting = threading.Thread(target=connect)
    waiting.start()
    guest.close()
    waiting.join(5)
    assert failed
    with pytest.raises(GuestUnreachable):
        guest.dial("/anywhere")


# Commands and files


def test_run_returns_output_and_exit_code(guest: SshGuest) -> None:
    done = guest.run(("sh", "-c", 'cat; echo "$1" >&2; exit 3', "sh", "it's"), stdin=b"in")
    assert (done.stdout, done.stderr, done.returncode) == (b"in", b"it's\n", 3)


def test_run_with_more_than_the_window_in_every_direction(guest: SshGuest) -> None:
    data, other = os.urandom(2 * WINDOW), b"".join(b"%07d\n" % n for n in range(WINDOW // 4))
    done = guest.run(("sh", "-c", f"seq -f %07.0f 0 {WINDOW // 4 - 1} >&2; cat"), stdin=data)
    assert done.stdout == data
    assert done.stderr == other


def test_run_a_command_that_does_not_read(guest: SshGuest) -> None:
    assert guest.run(("true",), stdin=bytes(2 * WINDOW)).ok


def test_run_times_out(guest: SshGuest) -> None:
    with pytest.raises(TimedOut):
        guest.run(("sleep", "60"), timeout=0.2)
    assert guest.run(("true",)).ok


def test_files_are_written_and_read(guest: SshGuest, folder: Path) -> None:
    path = folder / "it's a file"
    guest.write(str(path), b"\x00one", 0o640)
    guest.write(str(path), b"\x00two", 0o600)
    assert guest.read(str(path)) == b"\x00two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in folder.glob("it's*")] == ["it's a file"]
    with pytest.raises(FileNotFoundError):
        guest.read(f"{folder}/missing")
    with pytest.raises(MachineError):
        guest.write(f"{folder}/missing/file", b"")
    with pytest.raises(MachineError):
        guest.read(str(folder))


def test_a_shell_with_a_terminal(guest: SshGuest) -> None:
    session = guest.session(None, Size(80, 24))
    session.resize(Size(132, 43))
    session.sendall(b"stty size; exit 4\n")
    output = b"".join(iter(lambda: session.recv(65536), b""))
    assert b"43 132" in output
    assert session.recv_stderr(1) == b""
    assert session.exit_status() == 4
    session.close()


def test_a_session_of_a_killed_guest_ends(sshd: Sshd, guest: SshGuest) -> None:
    session = guest.session(("sleep", "60"), None)
    sshd.stop()
    with pytest.raises(ConnectionResetError):
        session.recv(1)
    assert session.exit_status() == -1
    session.close()


# Streams


def test_a_stream_half_closes(guest: SshGuest, echo: Path) -> None:
    stream = guest.dial(str(echo))
    stream.sendall(b"one")
    stream.sendall(b"two")
    stream.shutdown_write()
    assert b"".join(iter(lambda: stream.recv(4), b"")) == b"onetwo"
    stream.close()
    stream.close()


def test_no_data_is_lost_when_the_window_is_full(guest: SshGuest, echo: Path) -> None:
    data = bytes(range(256)) * (3 * WINDOW // 256)
    stream = guest.dial(str(echo))
    stream.sendall(data)
    stream.shutdown_write()
    assert b"".join(iter(lambda: stream.recv(100_000), b"")) == data
    stream.close()


def test_dial_without_a_listener_is_refused(guest: SshGuest, folder: Path) -> None:
    with pytest.raises(ConnectionRefusedError):
        guest.dial(f"{folder}/missing.sock")


def test_a_closed_stream_ends_its_reader(guest: SshGuest, echo: Path) -> None:
    stream = guest.dial(str(echo))
    ended = threading.Event()

    def read() -> None:
        with contextlib.suppress(OSError):
            stream.recv(1)
        ended.set()

    threading.Thread(target=read).start()
    stream.close()
    assert ended.wait(5)


def test_a_lost_guest_ends_readers_and_writers(sshd: Sshd, guest: SshGuest, echo: Path) -> None:
    stream = guest.dial(str(echo))
    sshd.stop()
    with pytest.raises(OSError, match="lost"):
        stream.recv(1)
    with pytest.raises(OSError, match=r"lost|closed"):
        stream.sendall(b"x")
    with pytest.raises(GuestUnreachable):
        guest.dial(str(echo))
    stream.close()


def test_hundreds_of_streams_leave_no_channels_behind(guest: SshGuest, echo: Path) -> None:
    def once() -> None:
        stream = guest.dial(str(echo))
        stream.shutdown_write()
        assert stream.recv(1) == b""
        stream.close()

    for _ in range(300):
        once()
    connection = guest._kept._kept
    assert connection is not None
    transport = connection._transport
    wait_until(lambda: len(transport._channels.values()) <= 1)
    assert not transport.channel_events
    assert not len(transport.channels_seen)
