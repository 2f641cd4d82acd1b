"""ssh as a channel of the agent stream: the guest's real program starts a real sshd, paramiko is
its client. The line between them is a terminal; a virtio-serial port is the same to both."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.background import Background
from tests.unit.engine.bridge.servers import SSHD, Sshd, wait_until
from tests.unit.vm.guest.stream.port import Machine
from vm.guest.ssh import SshGuest
from vm.guest.ssh_channel import ChannelWire
from vm.guest.stream import targets
from vm.guest.stream.kept import KeptStream
from vm.guest.stream.session import AgentStream

pytestmark = pytest.mark.timeout(60)  # a fault of the stream is a test that hangs
SIZE = 8 << 20  # bytes: many windows of the channel, and of ssh's own


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """Its files; it is not started, so nothing listens on its port."""
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    os.makedirs("/run/sshd", exist_ok=True)
    yield Sshd(folder)
    shutil.rmtree(folder)


@pytest.fixture
def machine(program: Path, sshd: Sshd) -> Iterator[Machine]:
    config = str(sshd.folder / "sshd_config")
    made = Machine(program, str(SSHD), "-i", "-e", "-f", config)
    yield made
    made.close()


@pytest.fixture
def kept(machine: Machine) -> Iterator[KeptStream]:
    made = KeptStream(machine.connect)
    made.connect(10)
    yield made
    made.close()


@pytest.fixture
def guest(kept: KeptStream, sshd: Sshd) -> Iterator[SshGuest]:
    made = SshGuest(sshd.address, sshd.key, sshd.known_host, 0.0, kept.open_ssh)
    yield made
    made.close()


def children(machine: Machine) -> list[str]:
    assert machine.agent is not None
    pid = machine.agent.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_commands(guest: SshGuest) -> None:
    done = guest.run(("sh", "-c", "cat; echo failed >&2; exit 3"), stdin=b"its input")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"its input", b"failed\n")


def test_much_data_both_ways(guest: SshGuest) -> None:
    data = os.urandom(1 << 16) * (SIZE >> 16)
    done = guest.run(("sha256sum",), stdin=data, timeout=50)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert guest.run(("head", "-c", str(SIZE), "/dev/zero"), timeout=50).stdout == bytes(SIZE)


def test_many_at_once(guest: SshGuest) -> None:
    def ask(number: int) -> bytes:
        return guest.run(("sh", "-c", f"cat; echo {number}"), stdin=bytes(10_000)).stdout

    with Background() as pool:
        answers = list(pool.map(ask, range(20)))
    assert answers == [bytes(10_000) + b"%d\n" % number for number in range(20)]


def test_many_sshds_at_once(kept: KeptStream, sshd: Sshd, machine: Machine) -> None:
    guests = [
        SshGuest(sshd.address, sshd.key, sshd.known_host, 0.0, kept.open_ssh) for _ in range(5)
    ]
    with Background() as pool:
        answers = list(pool.map(lambda guest: guest.run(("sh", "-c", "echo $PPID")).stdout, guests))
    assert len(set(answers)) == 5
    assert len(children(machine)) == 5
    for guest in guests:
        guest.close()
    wait_until(lambda: not children(machine))


def test_a_shell_with_a_terminal_ends_with_its_channel(guest: SshGuest, machine: Machine) -> None:
    from vm.guest.protocol import Size

    session = guest.session(("sleep", "1000"), Size(80, 24))
    session.close()
    assert guest.run(("true",)).ok
    guest.close()
    wait_until(lambda: not children(machine))


def test_the_end_of_a_client_s_side_ends_sshd(kept: KeptStream, machine: Machine) -> None:
    channel = kept.open(targets.SSH)
    assert channel.recv(1000).startswith(b"SSH-2.0-OpenSSH")
    channel.shutdown_write()
    assert b"".join(iter(lambda: channel.recv(1000), b"")) is not None
    wait_until(lambda: not children(machine))


def test_a_client_that_vanishes(machine: Machine, sshd: Sshd) -> None:
    """The next session ends all channels of the one before."""
    first = AgentStream(machine.connect, 10)
    guest = SshGuest(sshd.address, sshd.key, sshd.known_host, 0.0, lambda: first.open(targets.SSH))
    guest.session(("sleep", "1000"), None)
    assert len(children(machine)) == 1
    second = AgentStream(machine.connect, 10)
    wait_until(lambda: not children(machine))
    second.close()
    first.close()
    guest.close()


def test_without_a_session_its_port_is_used(machine: Machine, sshd: Sshd) -> None:
    sshd.start()
    stream = KeptStream(machine.connect)
    guest = SshGuest(sshd.address, sshd.key, sshd.known_host, 0.0, stream.open_ssh)
    assert guest.run(("true",)).ok
    assert stream._stream is None, "it makes no session"
    assert len(sshd.sessions()) > 0
    guest.close()
    sshd.stop()


@pytest.mark.parametrize("words", [(), ("/bin/false",), ("/nowhere",), ("/bin/echo", "no ssh")])
def test_where_the_channel_offers_no_ssh_its_port_is_used(
    program: Path, sshd: Sshd, words: tuple[str, ...]
) -> None:
    sshd.start()
    machine = Machine(program, *words)
    stream = KeptStream(machine.connect)
    stream.connect(10)
    guest = SshGuest(sshd.address, sshd.key, sshd.known_host, 0.0, stream.open_ssh)
    assert guest.run(("true",)).ok
    guest.close()
    stream.close()
    machine.close()
    sshd.stop()


def test_a_greeting_without_an_end_is_cut() -> None:
    class Endless:
        closed = False

        def recv(self, limit: int, timeout: float | None = None) -> bytes:
            return bytes(limit)

        def sendall(self, data: bytes) -> None: ...

        def shutdown_write(self) -> None: ...

        def close(self) -> None:
            self.closed = True

    wire = ChannelWire(Endless())
    with pytest.raises(OSError, match="without end"):
        sum(len(wire.recv(1000)) for _ in range(10_000))


def test_what_paramiko_expects_of_its_socket(kept: KeptStream) -> None:
    wire = ChannelWire(kept.open(targets.SSH))
    wire.settimeout(20)
    assert wire.recv(4) == b"SSH-"
    while wire.recv(1) != b"\n":
        pass
    wire.settimeout(0.05)
    with pytest.raises(TimeoutError):
        wire.recv(1)
    wire.close()
    with pytest.raises(ConnectionResetError) as lost:
        wire.recv(1)
    assert isinstance(lost.value.errno, int)
    with pytest.raises(ConnectionResetError) as lost:
        wire.send(b"x")
    assert isinstance(lost.value.errno, int)
