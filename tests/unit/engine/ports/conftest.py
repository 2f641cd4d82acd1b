"""A real dockerd with a firewall of its own: it publishes ports and may be a swarm's manager."""

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.bridge.servers import Dockerd, docker


class Publishing(Dockerd):
    """In its own network namespace, with bridges, iptables and a loopback."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._netns += "-ports"

    def start(self) -> None:
        super().start()
        self.inside("ip", "link", "set", "lo", "up")

    def _options(self) -> list[str]:
        left_out = ("--bridge=none", "--iptables=false")
        options = [option for option in super()._options() if option not in left_out]
        return [*options, "--userland-proxy=false"]

    def inside(self, *words: str) -> str:
        """What a program in its network namespace says."""
        enter = ("nsenter", f"--net=/run/netns/{self._netns}")
        return subprocess.run((*enter, *words), check=True, capture_output=True, text=True).stdout

    def does(self, *words: str) -> str:
        done = docker(self.socket, *words, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def targets(self) -> dict[str, str]:
        """Where dockerd's own rules lead, by published port."""
        words = [line.split() for line in self.inside("iptables", "-t", "nat", "-S").splitlines()]
        rules = [dict(itertools.pairwise(line)) for line in words if "DNAT" in line]
        return {rule["--dport"]: rule["--to-destination"] for rule in rules}


@pytest.fixture(scope="session")
def publishing() -> Iterator[Publishing]:
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    server = Publishing(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
