"""A desktop session under a real systemd: Galley runs on when the window's cgroup ends, and shuts
down in order when the session ends. It uses the fake backend, which is a process, as QEMU is.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.control.client import ControlClient
from tests.e2e.galley import GALLEY, Galley
from vm.errors import SupervisorGone
from vm.host import process
from vm.types import MachineState

SCRIPT = Path(__file__).with_name("session.sh")


class Session:
    """A systemd user session; `run` runs a command in it."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        self.env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self._group = f"galley-session-{os.getpid()}"
        Path("/run/systemd").mkdir(exist_ok=True)
        with (folder / "log").open("wb") as log:
            words = [str(SCRIPT), self._group]
            self._systemd = subprocess.Popen(words, env=self.env, stdout=log, stderr=log)

    def run(self, *words: str, env: dict[str, str] | None = None) -> bytes:
        inside = ["nsenter", f"--target={self._systemd.pid}", "--mount", "--cgroup", "--"]
        done = subprocess.run(
            [*inside, *words], env={**self.env, **(env or {})}, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def is_up(self) -> bool:
        assert self._systemd.poll() is None, "systemd does not start"
        return (Path(self.env["XDG_RUNTIME_DIR"]) / "systemd" / "private").exists()

    def log_out(self) -> None:
        """Stops systemd, as logind does when a user's last session ends."""
        self._systemd.terminate()
        self._systemd.wait(60)

    def close(self) -> None:
        if self._systemd.poll() is None:
            self.log_out()
        mounted = ["findmnt", "--noheadings", "--output", "TARGET", "--types", "cgroup2"]
        found = subprocess.run(mounted, capture_output=True, text=True, check=True).stdout
        group = Path(found.split()[0], self._group)
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


@pytest.fixture
def galley(tmp_path: Path, images: Path) -> Iterator[Galley]:
    galley = Galley(tmp_path / "h", images)
    galley.run("settings", "set", "backend", "fake")
    galley.run("settings", "set", "use_context", "false")
    galley.run("quit")
    yield galley
    galley.remove()


@pytest.fixture
def session(tmp_path: Path, galley: Galley) -> Iterator[Session]:
    session = Session(tmp_path)
    try:
        galley.wait_for(session.is_up, "systemd is up")
        yield session
    finally:
        session.close()


def states(galley: Galley) -> tuple[threading.Thread, list[MachineState]]:
    """Collects the machine's states in a thread, until the supervisor ends."""
    seen: list[MachineState] = []
    client = ControlClient.connect(galley.home)

    def follow() -> None:
        try:
            for status in client.statuses():
                seen.append(status.machine.state)
        except SupervisorGone:
            client.close()

    following = threading.Thread(target=follow)
    following.start()
    return following, seen


def test_galley_survives_the_window_and_stops_with_the_session(
    galley: Galley, session: Session
) -> None:
    window = ("systemd-run", "--user", "--scope", "--quiet", "--unit=window.scope", "--")
    session.run(*window, *GALLEY, "start", env=galley.env | session.env)
    supervisor = galley.supervisor_identity()
    machine = galley.status()["vm"]
    assert machine
    group = Path(f"/proc/{supervisor.pid}/cgroup").read_text()
    assert ".scope" in group
    assert "window.scope" not in group
    following, seen = states(galley)
    session.log_out()
    following.join(30)
    assert not following.is_alive()
    assert seen[0] is MachineState.RUNNING
    assert MachineState.STOPPING in seen, "it was stopped in order, not killed"
    assert seen[-1] is MachineState.STOPPED
    assert not process.is_alive(supervisor)
    assert galley.processes() == []
