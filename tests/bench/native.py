"""The Docker Engine on this computer, without any VM: what a container costs at best.

It has its own data, sockets and network namespace, so that the host's network stays as it is.
Needs root. May import: the standard library, `tests.e2e`, `doors.py`. Next: `run.py`.
"""

import os
import subprocess
import time
from pathlib import Path

from tests.bench.doors import answers, unix_door
from tests.bench.timing import let_pass
from tests.e2e.galley import IMAGE, busybox_tar

PATIENCE = 60.0
SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class NativeDocker:
    """`docker` drives it as `Galley.docker` drives the one in the VM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._namespace = f"galley-bench-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir()
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        self.launch()
        self.docker("import", "--change", 'CMD ["sh"]', "-", IMAGE, stdin=busybox_tar())

    def launch(self) -> None:
        """Start dockerd, also after it was killed."""
        (self.folder / "pid").unlink(missing_ok=True)
        options = [
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            f"--host=unix://{self.socket}",
            "--userland-proxy=false",
            "--log-driver=json-file",
            "--log-opt=max-size=20m",
            "--log-opt=max-file=5",
        ]
        # Not `ip netns exec`: it mounts a new /sys, which hides the cgroups.
        enter = ["nsenter", f"--net=/run/netns/{self._namespace}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*enter, "dockerd", *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": SEARCH},
            )
        self._wait()

    def kill(self, number: int) -> None:
        """As if something had gone wrong with it."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE)

    def docker(self, *words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", *words],
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
        # It leaves its data mounted on itself.
        subprocess.run(["umount", str(self.folder / "data")], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", self._namespace], check=False)

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while not answers(unix_door(self.socket)):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"dockerd does not start on this computer:\n{said}")
            let_pass(0.05)
