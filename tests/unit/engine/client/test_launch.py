"""Finding and starting the supervisor: real processes, a scripted engine."""

import json
import os
import sys
import threading
from multiprocessing.connection import Listener
from pathlib import Path

import pytest

from engine import __version__
from engine.client.launch import connect_only, ensure_supervisor, restart_supervisor
from engine.control import protocol, spawn
from engine.control.client import ControlClient
from engine.control.protocol import address
from vm.errors import HomeUnusable, SettingsError, SupervisorGone, ToolMissing, VersionMismatch
from vm.host import process
from vm.host.lock import FileLock
from vm.host.paths import Home

ROOT = Path(__file__).parents[4]


def test_connect_only_starts_nothing(scripted: Home) -> None:
    assert connect_only(scripted) is None
    assert not list(scripted.run.iterdir())


def test_ensure_supervisor_starts_one_and_then_finds_it(scripted: Home) -> None:
    with ensure_supervisor(scripted) as first, ensure_supervisor(scripted) as second:
        assert first.hello.pid == second.hello.pid != os.getpid()
        assert first.hello.version == __version__
        assert not Path(address(scripted, "launch")).exists()


def test_the_supervisor_is_detached_from_its_launcher(scripted: Home) -> None:
    code = (
        "from engine.client import launch; from engine.control import spawn;"
        "from vm.host.paths import find_home;"
        f"spawn.MODULE = {spawn.MODULE!r};"
        "print(launch.ensure_supervisor(find_home()).hello.pid)"
    )
    done = process.run([sys.executable, "-c", code], timeout=30, cwd=ROOT)
    assert done.ok, done.tail()
    with ensure_supervisor(scripted) as client:
        assert client.hello.pid == int(done.stdout)
        assert os.getsid(client.hello.pid) == client.hello.pid
        assert Path(f"/proc/{client.hello.pid}/cwd").resolve() == scripted.root.resolve()


def test_a_directory_called_engine_is_not_imported(
    scripted: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')")
    monkeypatch.chdir(tmp_path)
    ensure_supervisor(scripted).close()


def test_many_starts_at_once_make_one_supervisor(scripted: Home) -> None:
    """Threads of one process and several processes, all at the same moment."""
    code = (
        "from engine.client import launch; from engine.control import spawn;"
        "from vm.host.paths import find_home;"
        f"spawn.MODULE = {spawn.MODULE!r};"
        "print(launch.ensure_supervisor(find_home()).hello.pid)"
    )
    pids: list[int] = []

    def by_thread() -> None:
        with ensure_supervisor(scripted) as client:
            pids.append(client.hello.pid)

    def by_process() -> None:
        done = process.run([sys.executable, "-c", code], timeout=40, cwd=ROOT)
        pids.append(int(done.stdout or 0))

    threads = [threading.Thread(target=what) for what in (by_thread, by_process) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 6
    assert len(set(pids)) == 1


def test_after_a_kill_the_next_client_starts_another_supervisor(scripted: Home) -> None:
    """The dead supervisor's sockets and pid file do not prevent the start."""
    with ensure_supervisor(scripted) as first:
        identity = process.identify(first.hello.pid)
        assert identity
        process.end(identity, force=True)
        with pytest.raises(SupervisorGone, match="was lost") as caught:
            first.call("start")
        assert "ready" in caught.value.details
    assert process.wait_gone(identity, 10)
    assert Path(address(scripted)).exists()
    assert (scripted.run / "supervisor.pid").exists()
    assert connect_only(scripted) is None
    with ensure_supervisor(scripted) as second:
        assert second.hello.pid != identity.pid
        second.call("stop")


def test_a_problem_at_the_start_is_raised_in_the_client(
    scripted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALLEY_TEST_FAULT", "problem")
    with pytest.raises(ToolMissing, match="There is no QEMU") as caught:
        ensure_supervisor(scripted)
    assert (caught.value.hint, caught.value.details) == ("Install it.", "which qemu")


@pytest.mark.parametrize(
    ("fault", "output"), [("mistake", "by a scripted zero"), ("death", "a word before the end")]
)
def test_a_crash_at_the_start_is_reported_immediately_with_its_output(
    scripted: Home, monkeypatch: pytest.MonkeyPatch, fault: str, output: str
) -> None:
    monkeypatch.setenv("GALLEY_TEST_FAULT", fault)
    with pytest.raises(SupervisorGone, match="ended while it was starting") as caught:
        ensure_supervisor(scripted)
    assert output in caught.value.details


def test_a_start_that_hangs_ends_at_its_deadline(
    scripted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALLEY_TEST_FAULT", "hang")
    with pytest.raises(SupervisorGone, match="did not start"):
        ensure_supervisor(scripted, seconds=2)


def test_a_held_lock_without_an_answer_fails_at_the_deadline(scripted: Home) -> None:
    lock = FileLock(scripted.run / "supervisor.lock")
    assert lock.acquire()
    with pytest.raises(SupervisorGone, match="did not start"):
        ensure_supervisor(scripted, seconds=2)
    lock.release()
    ensure_supervisor(scripted).close()


def test_a_supervisor_of_another_version_is_reported_and_keeps_running(
    scripted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ensure_supervisor(scripted) as old:
        with monkeypatch.context() as newer:
            newer.setattr(protocol, "__version__", "99.0")
            for connect in (ensure_supervisor, connect_only):
                with pytest.raises(VersionMismatch, match=r"this is Galley 99\.0"):
                    connect(scripted)
        old.call("stop")
        monkeypatch.undo()
    monkeypatch.setattr(spawn, "MODULE", "tests.unit.engine.scripted_supervisor")


def test_restart_ends_a_supervisor_of_another_version(
    scripted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ensure_supervisor(scripted) as old, monkeypatch.context() as newer:
        newer.setattr(protocol, "PROTOCOL", 99)
        with pytest.raises(VersionMismatch):
            restart_supervisor(scripted)  # it ended the old one; only this process is "newer"
        assert process.identify(old.hello.pid) is None
    with restart_supervisor(scripted) as again:
        assert again.hello.pid != old.hello.pid


def test_an_unwritable_home_is_reported_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="Galley cannot use"):
        ensure_supervisor(Home(tmp_path / "file" / "home", tmp_path / "file" / "run"))


def test_an_occupied_launch_address_is_reported(
    scripted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(address(scripted, "launch")).mkdir()
    with pytest.raises(HomeUnusable, match=f"cannot use {scripted.root}: Is a dir") as refused:
        ensure_supervisor(scripted)
    assert "GALLEY_HOME" in refused.value.hint


def test_a_stale_launch_socket_is_replaced(scripted: Home) -> None:
    listener = Listener(address(scripted, "launch"))
    listener._listener._unlink.cancel()  # type: ignore[attr-defined]  # as if killed
    listener.close()
    ensure_supervisor(scripted).close()


def test_the_real_supervisor_with_the_fake_backend(home: Home) -> None:
    home.settings.write_text('backend = "fake"\n')
    with ensure_supervisor(home) as client:
        identity = process.identify(client.hello.pid)
        assert client.status().machine.backend == "fake"
        assert identity
        resident = process.resident_bytes(identity)
        client.call("quit")
    assert process.wait_gone(identity, 20)
    assert resident < 60 * 2**20
    left = {path.name for path in home.run.iterdir() if not path.name.endswith(".lock")}
    assert left == {"control.key"}


def test_the_real_supervisor_refuses_a_broken_settings_file(home: Home) -> None:
    home.settings.write_text("cpus = = 3\n")
    with pytest.raises(SettingsError, match="line 1"):
        ensure_supervisor(home)
    assert home.settings.read_text() == "cpus = = 3\n"


def test_the_client_imports_no_heavy_modules() -> None:
    code = "import sys, json, engine.client.launch; print(json.dumps(sorted(sys.modules)))"
    done = process.run([sys.executable, "-c", code], timeout=30, cwd=ROOT)
    loaded = set(json.loads(done.stdout))
    assert ControlClient.__module__ in loaded
    assert not loaded & {"psutil", "paramiko", "docker", "rich", "tomlkit", "asyncio", "logging"}
