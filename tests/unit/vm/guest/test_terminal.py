"""`vm/guest/terminal.py` with a real pty, a real process and a real sshd on this host."""

import contextlib
import fcntl
import getpass
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from vm.guest.ssh import make_key
from vm.host.net import free_port

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
ROOT = Path(__file__).parents[4]
PATIENCE = 20.0

# What `galley shell` does, without its search for the machine.
CLIENT = """
import os, sys
from pathlib import Path
from vm.guest import ssh, terminal
from vm.types import Address
if os.isatty(0):
    os.close(os.open(os.ttyname(0), os.O_RDWR))  # make it the controlling terminal
user, port, folder, interactive, *argv = sys.argv[1:]
ssh.USER = user
folder, wide = Path(folder), interactive == "pty"
guest = ssh.SshGuest(Address("127.0.0.1", int(port)), folder / "key", folder / "known")
session = guest.session(tuple(argv), terminal.size() if wide else None)
try:
    shown = (lambda: bytes.upper) if interactive == "shown" else (lambda: bytes)
    sys.exit(terminal.attach(session, pty=wide, shown=shown))
finally:
    print("restored", file=sys.stderr)
"""


class Sshd(NamedTuple):
    folder: Path
    port: int

    def command(self, kind: str, *argv: str) -> list[str]:
        where = [getpass.getuser(), str(self.port), str(self.folder), kind]
        return [sys.executable, "-c", CLIENT, *where, *argv]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    make_key(folder / "key", folder / "key.pub")
    make_key(folder / "host", folder / "host.pub")
    (folder / "known").write_text((folder / "host.pub").read_text())
    config = folder / "config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nPermitRootLogin yes\n"
        f"SetEnv HOME={folder}\n"  # without the start files of the account's shell
    )
    assert SSHD is not None, "openssh-server is not installed"
    Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
    _wait_for_port(port)
    yield Sshd(folder, port)
    server.terminate()
    server.wait()


def _wait_for_port(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    pytest.fail("sshd did not come up")


class Terminal:
    """The terminal of a user, who types, reads and resizes."""

    def __init__(self, command: list[str]) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        ours = (self.slave, self.slave, self.slave)
        self.child = subprocess.Popen(
            command, stdin=ours[0], stdout=ours[1], stderr=ours[2], start_new_session=True, cwd=ROOT
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def expect(self, text: bytes) -> None:
        until = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], until - time.monotonic())
            assert ready, f"{text!r} was not received, only {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        self.seen = self.seen.partition(text)[2]

    def exit_code(self) -> int:
        return self.child.wait(PATIENCE)

    def is_restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@contextlib.contextmanager
def terminal(command: list[str]) -> Iterator[Terminal]:
    made = Terminal(command)
    try:
        yield made
    finally:
        made.close()


def test_keys_go_to_the_guest_raw_and_the_terminal_is_restored(sshd: Sshd) -> None:
    script = "trap 'echo caught' INT; echo ready; read line; echo got:$line; exit 7"
    with terminal(sshd.command("pty", "bash", "-c", script)) as user:
        user.expect(b"ready")
        assert not user.is_restored()
        user.type(b"\x03")  # Ctrl+C goes to the guest
        user.expect(b"caught")
        user.type("grüße\r".encode())
        user.expect("got:grüße".encode())
        assert user.exit_code() == 7
        assert user.is_restored()


def test_the_guests_terminal_has_our_size_and_follows_a_resize(sshd: Sshd) -> None:
    script = (
        "trap 'stty size; exit 0' WINCH; stty size; echo ready; while :; do read -t 0.1 x; done"
    )
    with terminal(sshd.command("pty", "bash", "-c", script)) as user:
        user.expect(b"24 80")
        user.expect(b"ready")
        user.resize(40, 123)
        user.expect(b"40 123")
        assert user.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_us_restores_the_terminal(sshd: Sshd, number: signal.Signals) -> None:
    with terminal(sshd.command("pty", "bash", "-c", "echo ready; read line")) as user:
        user.expect(b"ready")
        user.child.send_signal(number)
        user.expect(b"restored")
        assert user.exit_code() == 128 + number
        assert user.is_restored()


def test_pipes_carry_data_both_ways_and_the_exit_code_is_returned(sshd: Sshd) -> None:
    data = os.urandom(3_000_000)
    script = "cat; echo oops >&2; exit 3"
    done = subprocess.run(
        sshd.command("plain", "sh", "-c", script), input=data, capture_output=True, cwd=ROOT
    )
    assert done.stdout == data
    assert done.stderr.startswith(b"oops\n")
    assert done.returncode == 3


def test_stdout_and_stderr_go_through_the_shown_filter(sshd: Sshd) -> None:
    script = "echo out; echo error >&2"
    done = subprocess.run(
        sshd.command("shown", "sh", "-c", script), input=b"", capture_output=True, cwd=ROOT
    )
    assert done.stdout == b"OUT\n"
    assert done.stderr.startswith(b"ERROR\n")


def test_a_reader_that_closes_stdout_ends_the_session(sshd: Sshd) -> None:
    child = subprocess.Popen(
        sshd.command("plain", "yes"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    child.stdout.read(10)
    child.stdout.close()
    _, errors = child.communicate(timeout=PATIENCE)
    assert b"BrokenPipeError" in errors


def test_a_killed_program_has_exit_code_255(sshd: Sshd) -> None:
    done = subprocess.run(
        sshd.command("plain", "sh", "-c", "kill -9 $$"), input=b"", capture_output=True, cwd=ROOT
    )
    assert done.returncode == 255


def test_a_lost_connection_is_an_error_not_a_hang(sshd: Sshd) -> None:
    with terminal(sshd.command("pty", "sh", "-c", "echo ready; read x; kill -9 $PPID")) as user:
        user.expect(b"ready")
        user.type(b"\r")
        user.expect(b"The connection to the virtual machine was lost")
        assert user.exit_code() == 1
        assert user.is_restored()
