"""An engine behind a real sshd, reached through the real ssh with its own configuration."""

import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.docker.client import DockerClient
from engine.docker.ssh_relay import SOCKET, SshAddress
from engine.dockercli.endpoint import Endpoint
from tests.unit.engine.bridge.servers import Dockerd, Sshd, wait_until
from vm.errors import EngineUnreachable, Retry, ToolMissing
from vm.host import process
from vm.host.paths import find_home


class FarHost(Sshd):
    """An sshd that the user's ssh reaches as host `far`."""

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def configure_ssh(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put an `ssh` into PATH that reads the test's files instead of the user's."""
        config = self.folder / "ssh_config"
        config.write_text(
            f"Host far\n HostName {self.address.host}\n Port {self.address.port}\n User root\n"
            f" IdentityFile {self.key}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {self.known_hosts}\n GlobalKnownHostsFile /dev/null\n"
        )
        key = self.known_host.read_text().strip()
        self.known_hosts.write_text(f"[{self.address.host}]:{self.address.port} {key}\n")
        programs = self.folder / "bin"
        programs.mkdir()
        ssh = programs / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[FarHost]:
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    server = FarHost(folder)
    server.start()
    server.configure_ssh(monkeypatch)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def sockets() -> list[Path]:
    return list(find_home().run.glob("ssh-*.sock"))


def test_an_engine_behind_ssh(far: FarHost, dockerd: Dockerd) -> None:
    client = DockerClient(Endpoint("far", f"ssh://far{dockerd.socket}"))
    assert client.ping()
    assert client.info().version
    [socket] = sockets()
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    client.close()
    assert not sockets()
    wait_until(lambda: not far.sessions())


def test_a_lost_connection_is_reestablished(far: FarHost, dockerd: Dockerd) -> None:
    client = DockerClient(Endpoint("far", f"ssh://far{dockerd.socket}"))
    far.signal_sessions(signal.SIGKILL)
    wait_until(lambda: not far.sessions())

    def answers() -> bool:
        try:
            return bool(client.ping())
        except EngineUnreachable:
            return False

    wait_until(answers)
    client.close()


def test_ssh_ends_with_the_program_that_started_it(far: FarHost, dockerd: Dockerd) -> None:
    script = (
        "import os, sys; from engine.docker.client import DockerClient;"
        "from engine.dockercli.endpoint import Endpoint;"
        "DockerClient(Endpoint('far', sys.argv[1])).ping(); os.kill(os.getpid(), 9)"
    )
    done = process.run([sys.executable, "-c", script, f"ssh://far{dockerd.socket}"], timeout=40)
    assert done.returncode == -signal.SIGKILL, done.tail()
    wait_until(lambda: not far.sessions())
    assert len(sockets()) == 1
    client = DockerClient(Endpoint("far", f"ssh://far{dockerd.socket}"))
    assert len(sockets()) == 1  # the dead program's socket is removed
    client.close()


def connect_error(url: str = "ssh://far") -> EngineUnreachable:
    with pytest.raises(EngineUnreachable) as caught:
        DockerClient(Endpoint("far", url))
    assert not sockets()
    return caught.value


def test_an_unknown_host_is_not_trusted(far: FarHost) -> None:
    far.known_hosts.write_text("")
    error = connect_error()
    assert "does not know the host key of far" in error.summary
    assert "`ssh far`" in error.hint
    assert not far.known_hosts.read_text()


def test_another_host_key_is_refused(far: FarHost) -> None:
    ours = (far.folder / "id_ed25519.pub").read_text().split()[:2]
    far.known_hosts.write_text(f"[127.0.0.1]:{far.address.port} {' '.join(ours)}\n")
    error = connect_error()
    assert "another host key" in error.summary
    assert error.retry is Retry.NO


def test_a_host_that_rejects_the_key(far: FarHost) -> None:
    (far.folder / "id_ed25519.pub").write_text("")
    assert "rejects every key" in connect_error().summary


def test_a_host_without_an_engine(far: FarHost) -> None:
    error = connect_error("ssh://far/nowhere/docker.sock")
    assert "but not its Docker Engine" in error.summary
    assert "/nowhere/docker.sock" in error.hint


def test_a_host_that_does_not_answer(far: FarHost) -> None:
    far.stop()
    assert connect_error().summary == "ssh cannot reach far: Connection refused."


def test_a_missing_ssh_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing):
        DockerClient(Endpoint("far", "ssh://far"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://far", SshAddress("far")),
        ("ssh://me@far:2222", SshAddress("far", "me", "2222")),
        ("ssh://me@far/", SshAddress("far", "me")),
        (
            "ssh://far/run/user/1000/docker.sock",
            SshAddress("far", "", "", "/run/user/1000/docker.sock"),
        ),
        ("ssh://me@[fe80::1]:22", SshAddress("fe80::1", "me", "22")),
        ("ssh://[fe80::1]", SshAddress("fe80::1")),
    ],
)
def test_ssh_addresses_are_parsed(url: str, address: SshAddress) -> None:
    assert SshAddress.of(url) == address
    assert address.socket.startswith("/")
    assert address.words()[-2:] == ["--", address.host]


@pytest.mark.parametrize(
    "url",
    [
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://me:secret@far",
        "ssh://far:x",
        "ssh://-x@y",
        "ssh://a b",
        "ssh://a\0b",
    ],
)
def test_an_invalid_ssh_address_is_refused(url: str) -> None:
    with pytest.raises(EngineUnreachable, match="is no address for ssh") as caught:
        SshAddress.of(url)
    assert "secret" not in caught.value.summary


def test_the_default_socket() -> None:
    assert SshAddress.of("ssh://far").socket == SOCKET
