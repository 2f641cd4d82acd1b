"""A real keyring for tests: gnome-keyring with its own session bus and home folder."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import secretstorage

from tests.unit.engine.bridge.servers import wait_until

# A bus without service activation, so that only the test's keyring can be on it.
BUS = """
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir={folder}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
PASSWORD = b"keyring password"


class SecretService:
    """A gnome-keyring daemon, unlocked after `start`. `folder`: its configuration and data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        names = ("HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
        self._environment = {**os.environ, **{name: str(self.folder) for name in names}}
        self._environment.pop("DISPLAY", None)  # no display for a password prompt
        config = self.folder / "bus.conf"
        config.write_text(BUS.format(folder=self.folder))
        bus = self._run("dbus-daemon", f"--config-file={config}", "--nofork", "--print-address")
        assert bus.stdout is not None
        self.address = bus.stdout.readline().decode().strip()
        self._environment["DBUS_SESSION_BUS_ADDRESS"] = self.address
        self._keyring = self._run(
            "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"
        )
        assert self._keyring.stdin is not None
        self._keyring.stdin.write(PASSWORD)
        self._keyring.stdin.close()
        wait_until(self._is_unlocked, 30)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()

    def lock(self) -> None:
        with self._collection() as collection:
            collection.lock()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """The keyring runs, but does not answer."""
        self._keyring.send_signal(signal.SIGSTOP)
        yield
        self._keyring.send_signal(signal.SIGCONT)

    def delete_externally(self, server: str) -> None:
        """Deletes a login as another program would."""
        with self._collection() as collection:
            for item in collection.search_items({"username": server}):
                item.delete()

    def _is_unlocked(self) -> bool:
        try:
            with self._collection() as collection:
                return not collection.is_locked()
        except secretstorage.SecretStorageException:
            return False

    @contextlib.contextmanager
    def _collection(self) -> Iterator[secretstorage.Collection]:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DBUS_SESSION_BUS_ADDRESS", self.address)
            with contextlib.closing(secretstorage.dbus_init()) as bus:
                yield secretstorage.Collection(bus)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )
        self._processes.append(process)
        return process


@contextlib.contextmanager
def unlocked() -> Iterator[SecretService]:
    """A keyring for this process and its children. The helper is on PATH, as if installed."""
    with (
        tempfile.TemporaryDirectory(prefix="galley-keyring-") as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        service = SecretService(Path(folder))
        try:
            service.start()
            environment.setenv("DBUS_SESSION_BUS_ADDRESS", service.address)
            environment.setenv(
                "PATH", f"{_installed(Path(folder))}{os.pathsep}{os.environ['PATH']}"
            )
            for name in ("PYTHON_KEYRING_BACKEND", "DISPLAY"):
                environment.delenv(name, raising=False)
            environment.setenv("XDG_CONFIG_HOME", folder)
            yield service
        finally:
            service.stop()


def _installed(folder: Path) -> Path:
    """A folder with a symbolic link to the credential helper."""
    from engine.dockercli.tools import own_folder

    (folder / "bin").mkdir()
    program = "docker-credential-galley"
    (folder / "bin" / program).symlink_to(own_folder() / program)
    return folder / "bin"
