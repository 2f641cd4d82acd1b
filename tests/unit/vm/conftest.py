"""The real guest agent on this host: fixtures of its tests. Its kernel is `keeper_kernel.c`."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.guest.recipe import FILES
from vm.backends.fake import SocketStream
from vm.guest.agent import SOCKET, GuestAgent
from vm.guest.protocol import Stream

PATIENCE = 20.0  # seconds; only a test that fails waits so long
MOUNTED = "/dev/shm"
FREEZE_LIMIT, LONGEST = 0.3, 1.0  # seconds


def build_keeper(folder: Path) -> Path:
    """Builds it with the compiler's sanitizers, which end it at an error."""
    made = folder / "keeper"
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra")
    times = {"FREEZE_LIMIT": FREEZE_LIMIT, "LONGEST": LONGEST, "LOOK": 0.01}
    limits = [f"-D{name}={seconds * 1000:.0f}" for name, seconds in times.items()]
    sources = (FILES / "source" / "keeper.c", Path(__file__).with_name("keeper_kernel.c"))
    calls = ("ioctl", "clock_settime", "fstatvfs", "open", "fopen", "madvise")
    wrapped = [f"-Wl,--wrap={call}" for call in calls]
    options = ("-O1", "-Werror", *checks, *limits, *wrapped)
    subprocess.run(["cc", *options, "-o", made, *sources], check=True)
    return made


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_keeper(tmp_path_factory.mktemp("keeper"))


class Machine:
    """Stands in for a guest. `kernel` is the folder of `keeper_kernel.c`."""

    def __init__(self, program: Path, folder: Path, disk: str = MOUNTED) -> None:
        self.kernel, self.path = folder / "kernel", folder / "sock"
        self.kernel.mkdir()
        self.group = folder / "group"
        self.group.mkdir()
        self._command = [str(program), str(self.path), disk, str(self.group)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, env={**os.environ, "KERNEL": str(self.kernel)}
        )

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + PATIENCE
        while connection.connect_ex(str(self.path)) != 0:
            assert time.monotonic() < until
        return connection

    def dial(self, path: str) -> Stream:
        assert path == SOCKET
        return SocketStream(self.connect())

    def wait(self, name: str, there: bool) -> float:
        """Waits until the kernel's file is there, or gone; returns the seconds that it took."""
        began = time.monotonic()
        while (self.kernel / name).exists() is not there:
            assert time.monotonic() - began < PATIENCE, name
        return time.monotonic() - began

    def kill(self) -> None:
        assert self.process.poll() is None, "the program has ended"
        self.process.kill()
        self.process.wait()


@pytest.fixture
def machine(program: Path, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(program, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def agent(machine: Machine) -> GuestAgent:
    return GuestAgent(machine.dial)
