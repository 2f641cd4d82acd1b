"""A real sshd and a real dockerd for tests, each with its own files. Standard library only.

The sshd listens on loopback with its own configuration. The dockerd has its own data, sockets and
network namespace, so that the host's network stays unchanged.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vm.guest.ssh import SshGuest, make_key
from vm.host.net import is_free
from vm.types import Address

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
DOCKERD = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/sbin")
IMAGE = "galley-test"


def _server_port() -> int:
    """A free port below the ephemeral ones: a client that retries an ephemeral port of this
    computer may connect to itself, and then its server cannot listen on the port."""
    ports = random.sample(range(10_000, 30_000), 100)
    return next(port for port in ports if is_free("127.0.0.1", port))


def wait_until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll `what` until it is true. `seconds` is a deadline, not a delay."""
    until = time.monotonic() + seconds
    tick = threading.Event()
    while not what():
        assert time.monotonic() < until, f"{what} did not become true within {seconds:g} s"
        tick.wait(0.01)


class Sshd:
    """One sshd that accepts only `key`. Its shells do not read the account's own start files, which
    may wait for a lock that a killed session has left (pyenv's, for example)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "id_ed25519"
        self.known_host = folder / "known_host"
        self.address = Address("127.0.0.1", _server_port())
        self._process: subprocess.Popen[bytes] | None = None
        make_key(self.key, folder / "id_ed25519.pub")
        make_key(folder / "host_key", folder / "host_key.pub")
        self.known_host.write_text(" ".join((folder / "host_key.pub").read_text().split()[:2]))
        self._config = folder / "sshd_config"
        self._config.write_text(self._configuration())

    def _configuration(self) -> str:
        return f"""
Port {self.address.port}
ListenAddress 127.0.0.1
HostKey {self.folder}/host_key
AuthorizedKeysFile {self.folder}/id_ed25519.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
SetEnv HOME={self.folder}
MaxSessions 1000
MaxStartups 500
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
"""

    def add(self, lines: str) -> None:
        """Add lines at the start of the configuration, because sshd uses the first value of an
        option. They take effect at the next start."""
        self._config.write_text(f"{lines}\n{self._configuration()}")

    def start(self) -> None:
        os.makedirs("/run/sshd", exist_ok=True)  # where sshd looks for its empty directory
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(SSHD), "-D", "-e", "-f", str(self._config)], stderr=log, start_new_session=True
            )
        wait_until(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address.host, self.address.port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            # A session that it makes meanwhile would keep its port.
            self._process.send_signal(signal.SIGSTOP)
            os.waitpid(self._process.pid, os.WUNTRACED)
            self.signal_sessions(signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()

    def sessions(self) -> list[int]:
        """The processes that serve one connection each."""
        assert self._process is not None
        return _descendants(self._process.pid)

    def signal_sessions(self, number: signal.Signals) -> list[int]:
        pids = self.sessions()
        for pid in pids:
            _signal(pid, number)
        return pids

    def guest(self) -> SshGuest:
        return SshGuest(self.address, self.key, self.known_host)


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found: list[int] = []
    for child in map(int, children):
        found += [child, *_descendants_of_living(child)]
    return found


def _descendants_of_living(pid: int) -> list[int]:
    try:
        return _descendants(pid)
    except (FileNotFoundError, ProcessLookupError):
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Dockerd:
    """One dockerd without a network, with one tiny image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._netns = f"galley-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        subprocess.run(["ip", "netns", "add", self._netns], check=True)
        # Not `ip netns exec`: it mounts a new /sys, which hides the cgroups.
        command = ["nsenter", f"--net=/run/netns/{self._netns}", str(DOCKERD)]
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options()], stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: docker(self.socket, "version").returncode == 0, 30)
        self._import_image()

    def _options(self) -> list[str]:
        return [
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            f"--host=unix://{self.socket}",
            "--bridge=none",
            "--iptables=false",
            "--storage-driver=vfs",
        ]

    def _import_image(self) -> None:
        root = self.folder / "root" / "bin"
        root.mkdir(parents=True)
        shutil.copy("/usr/bin/busybox", root / "busybox")
        for name in ("sh", "cat", "echo", "sleep", "head", "yes", "wc", "true"):
            (root / name).symlink_to("busybox")
        packed = shutil.make_archive(str(self.folder / "image"), "tar", self.folder / "root")
        done = docker(self.socket, "import", packed, IMAGE)
        assert done.returncode == 0, done.stderr

    def run(self, *command: str) -> str:
        """Start a container in the background. Returns its id."""
        done = docker(self.socket, "run", "-d", "--network=none", IMAGE, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        subprocess.run(["ip", "netns", "delete", self._netns], check=False)


def docker(
    socket_path: Path, *arguments: str, stdin: bytes = b"", timeout: float = 20
) -> subprocess.CompletedProcess[bytes]:
    """The real docker client, against a socket file."""
    return subprocess.run(
        ["docker", "--host", f"unix://{socket_path}", *arguments],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=False,
    )
