"""One Galley of the test's own: a home, its supervisor, its VM, and what a user types at it."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from tests import accelerators
from tests.e2e import processes
from vm.backends.qemu.running import Running, find
from vm.directory import MachineDir
from vm.host import process
from vm.host.paths import Home, find_home

GALLEY = [sys.executable, "-m", "engine.cli"]
ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # seconds; only a test that fails waits so long
SOON = 60.0  # seconds, for what a user expects at once, on a busy computer
IMAGE = "galley-test"
SERVE = "echo served > /index.html; exec busybox httpd -f -p 80 -h /"  # by it


class Galley:
    """`home` is its GALLEY_HOME. Everything is driven from outside, as a user would."""

    def __init__(self, home: Path, images: Path, program: list[str] = GALLEY) -> None:
        self._program = program
        self.env = {
            **os.environ,
            "GALLEY_HOME": str(home),
            "DOCKER_CONFIG": str(home / "docker-config"),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }
        self.env.pop("DOCKER_HOST", None)
        home.mkdir(parents=True, exist_ok=True)
        (home / "images").symlink_to(images)
        os.environ["GALLEY_HOME"], kept = str(home), os.environ.get("GALLEY_HOME")
        try:
            self.home: Home = find_home()
        finally:
            if kept is None:
                del os.environ["GALLEY_HOME"]
            else:
                os.environ["GALLEY_HOME"] = kept
        if channel := os.environ.get("GALLEY_TEST_CHANNEL"):
            self.home.settings.write_text(f'version = 1\nchannel = "{channel}"\n')
        self.machine = MachineDir.of(self.home)
        self.docker_host = f"unix://{self.home.docker_socket}"
        if program is GALLEY:
            accelerators.lend(self.machine)

    def run(
        self, *words: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """`galley WORDS…`, to its end."""
        return _run([*self._program, *words], self.env, check, stdin)

    def docker(
        self, *words: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """The host's docker CLI on our endpoint."""
        return _run(["docker", "-H", self.docker_host, *words], self.env, check, stdin)

    def popen(self, words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return status

    def log_tail(self) -> str:
        """The end of the supervisor's log, for a failure's message."""
        return (self.home.logs / "supervisor.log").read_text()[-4000:]

    def take_one_cpu(self) -> None:
        """Start with one virtual CPU: an emulated start takes 18 instead of 26 CPU seconds so, and
        a `docker run` a sixth less. A container that spins needs two."""
        self.run("settings", "set", "cpus", "1")

    def start(self) -> None:
        self.run("start")
        accelerators.keep(self.machine)

    def vm_identity(self) -> process.Identity:
        return self._running().identity

    def _running(self) -> Running:
        found = find(self.machine)
        assert found is not None
        return found

    def supervisor_identity(self) -> process.Identity:
        """The process that serves our control socket."""
        for pid, line in processes.belonging_to(str(self.home.root)).items():
            if "engine.supervisor" in line and (found := process.identify(pid)):
                return found
        raise AssertionError("no supervisor runs")

    def processes(self) -> list[str]:
        """Every process that belongs to this home."""
        return list(processes.belonging_to(str(self.home.root)).values())

    def machines(self) -> list[str]:
        return [line for line in self.processes() if "qemu" in line]

    def forwarders(self) -> list[str]:
        """The processes that forward ports on IPv6 addresses."""
        return [line for line in self.processes() if "vm.host.forwarder_process" in line]

    def load_image(self) -> None:
        """Imports a tiny image of Debian's static busybox through our socket. Its stop signal is
        SIGKILL: process 1 of a container ignores SIGTERM by default, and each stop would wait for
        its timeout of ten seconds."""
        change = ("--change", 'CMD ["sh"]', "--change", "STOPSIGNAL SIGKILL")
        self.docker("import", *change, "-", IMAGE, stdin=busybox_tar())

    def load_compose(self) -> None:
        """Gives this Galley's docker the `compose` that the machine has."""
        self.load_plugin("docker-compose")

    def load_plugin(self, name: str) -> None:
        """Gives this Galley's docker a plugin that the machine has."""
        plugin = Path(self.env["DOCKER_CONFIG"], "cli-plugins", name)
        plugin.parent.mkdir(parents=True, exist_ok=True)
        there = f"/usr/libexec/docker/cli-plugins/{name}"
        plugin.write_bytes(self.run("shell", "cat", there).stdout)
        plugin.chmod(0o755)

    def wait_for(self, holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        never = threading.Event()
        while not holds():
            if time.monotonic() > until:
                raise AssertionError(f"the condition did not become true: {what}")
            never.wait(0.1)

    def answers(self) -> bool:
        return (
            self.docker("version", "--format", "{{.Server.Version}}", check=False).returncode == 0
        )

    def remove(self) -> None:
        """Kills a running machine: its data is not needed any more, so no shutdown is needed."""
        if (found := find(self.machine)) is not None:
            process.end(found.identity, force=True)
            process.wait_gone(found.identity, 10)
        self.run("delete", "--yes", check=False)
        self.run("quit", check=False)
        for folder in (self.home.run, self.home.root):
            shutil.rmtree(folder, ignore_errors=True)


def busybox_tar() -> bytes:
    """A root file system with /bin/busybox and the links a test needs."""
    buffer = BytesIO()
    busybox = Path(shutil.which("busybox") or "/bin/busybox")
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for name in ("sh", "cat", "date", "echo", "nc", "sleep", "sync", "tail", "mkfifo"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


def _run(
    words: list[str], env: dict[str, str], check: bool, stdin: bytes | None
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(words, env=env, input=stdin, capture_output=True, timeout=PATIENCE)
    if check and done.returncode != 0:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{output}")
    return done
