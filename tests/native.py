"""A native dockerd on this computer, without a VM, as the reference for bench and conformance.

It has its own data, sockets and network namespace, so that the host's network stays unchanged. The
namespace has a loopback and one interface with an address, like a computer. Needs root. Next:
`bench/lab.py`, `conformance/engines.py`.
"""

import os
import subprocess
import threading
import time
from pathlib import Path

from tests.e2e.galley import IMAGE, busybox_tar

PATIENCE = 60.0
SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
ADDRESS = "10.0.2.15/24"  # QEMU gives a guest the same


class NativeDocker:
    """`docker` runs the CLI, as `Galley.docker` does for the VM. `options`: dockerd's options.
    `usr`: a folder whose programs and libraries dockerd gets instead of this computer's."""

    def __init__(self, folder: Path, *options: str, usr: Path | None = None) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._options = options
        self._usr = usr
        self._name = f"galley-{folder.name}-{os.getpid()}"
        self.namespace = Path("/run/netns", self._name)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir()
        _ip("netns", "add", self._name)
        _ip("-n", self._name, "link", "set", "lo", "up")
        _ip("-n", self._name, "link", "add", "eth0", "type", "veth", "peer", "name", "uplink")
        _ip("-n", self._name, "address", "add", ADDRESS, "dev", "eth0")
        for link in ("eth0", "uplink"):
            _ip("-n", self._name, "link", "set", link, "up")
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
            *self._options,
        ]
        # Not `ip netns exec`: it mounts a new /sys, which hides the cgroups.
        enter = ["nsenter", f"--net={self.namespace}"]
        if self._usr is not None:
            over = f"mount -t overlay -o lowerdir={self._usr}:/usr overlay /usr"
            enter += ["unshare", "--mount", "sh", "-c", f'{over} && exec "$@"', "sh"]
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
        """Sends a signal to dockerd and waits for its exit."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE)

    def docker(
        self, *words: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", *words],
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=check,
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
        # dockerd leaves bind mounts of its data and of network namespaces.
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if Path(mount).is_relative_to(self.folder):
                subprocess.run(["umount", mount], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", self._name], check=False)

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while self.docker("version", check=False).returncode != 0:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > until:
                output = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"dockerd does not start on this computer:\n{output}")
            threading.Event().wait(0.05)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
