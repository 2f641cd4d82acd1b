"""The supervisor process: one per home, no polling, a clean exit, errors in its log."""

import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import psutil
import pytest

from engine.client.launch import ensure_supervisor
from engine.control.protocol import address
from vm.errors import SupervisorGone
from vm.host import open_files, process
from vm.host.paths import Home

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "tests.unit.engine.scripted_supervisor"]


def log_of(home: Home) -> str:
    return (home.logs / "supervisor.log").read_text()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_ends_the_supervisor_cleanly(scripted: Home, name: str) -> None:
    with ensure_supervisor(scripted) as client:
        identity = process.identify(client.hello.pid)
        assert identity
        os.kill(identity.pid, signal.Signals[name])
        with pytest.raises(SupervisorGone):
            list(client.statuses())
    assert process.wait_gone(identity, 10)
    assert not Path(address(scripted)).exists()
    assert not (scripted.run / "supervisor.pid").exists()
    assert f"ending: {name}" in log_of(scripted)
    assert "Traceback" not in log_of(scripted)


def test_the_supervisor_raises_its_limit_of_open_files(scripted: Home) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))  # inherited by the supervisor
    try:
        with ensure_supervisor(scripted) as client:
            soft, hard = psutil.Process(client.hello.pid).rlimit(psutil.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert soft == min(open_files.WANTED, hard)


def test_the_supervisor_ends_although_its_home_was_deleted(scripted: Home) -> None:
    with ensure_supervisor(scripted) as client:
        identity = process.identify(client.hello.pid)
    assert identity
    shutil.rmtree(scripted.root)
    process.end(identity)
    assert process.wait_gone(identity, 10)


def test_quit_is_answered_and_leaves_only_key_and_locks(scripted: Home) -> None:
    with ensure_supervisor(scripted) as client:
        identity = process.identify(client.hello.pid)
        client.call("quit")
    assert identity
    assert process.wait_gone(identity, 10)
    left = {path.name for path in scripted.run.iterdir()}
    assert left == {"control.key", "launch.lock", "supervisor.lock"}


def test_quit_during_a_start_does_not_wait_for_the_start(scripted: Home) -> None:
    with ensure_supervisor(scripted) as starter, ensure_supervisor(scripted) as other:
        identity = process.identify(other.hello.pid)
        with pytest.raises(SupervisorGone):
            starter.call("start", on_push=lambda _: other.call("quit"))
    assert identity
    assert process.wait_gone(identity, 10)


def test_a_second_supervisor_exits_and_the_first_one_still_works(scripted: Home) -> None:
    with ensure_supervisor(scripted) as client:
        done = process.run(COMMAND, timeout=30, cwd=ROOT)
        assert done.returncode == 0, done.tail()
        client.call("stop")
        ensure_supervisor(scripted).close()


def test_an_unwritable_home_is_reported_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file" / "home")
    done = process.run(COMMAND, timeout=30, cwd=ROOT, env={"GALLEY_HOME": home})
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"Galley cannot use {home}")
    assert "Traceback" not in done.stderr.decode()


def test_uncaught_exceptions_of_threads_are_logged(
    scripted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALLEY_TEST_FAULT", "thread")
    ensure_supervisor(scripted).close()
    assert "in scripted thread" in log_of(scripted)
    assert "ZeroDivisionError" in log_of(scripted)


def test_an_idle_supervisor_does_not_poll(scripted: Home) -> None:
    """A thread that polls would wait in nanosleep."""
    with ensure_supervisor(scripted) as client:
        client.call("stop")
        tasks = Path(f"/proc/{client.hello.pid}/task")
        wait_channels = {(task / "wchan").read_text() for task in tasks.iterdir()}
    assert not any("nanosleep" in channel for channel in wait_channels)
