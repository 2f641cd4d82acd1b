"""The commands for a running machine, as programs, with the fake backend."""

import json
import os
import signal
import subprocess
import zipfile
from pathlib import Path

import msgspec
import pytest

from engine.cli.status import Report
from tests.unit.engine.cli.conftest import ROOT, Galley, command
from vm.backends.fake_machine import FakeScript
from vm.directory import MachineDir
from vm.host.paths import Home

pytestmark = pytest.mark.usefixtures("quit_afterwards")


def status(galley: Galley) -> Report:
    done = galley("status", "--json")
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Report)


def test_a_new_machine_gets_the_existing_daemon_json(galley: Galley, home: Home) -> None:
    home.daemon_config.write_text('{"debug": true}')
    assert galley("start").returncode == 0
    assert status(galley).problems == ()
    home.daemon_config.write_text('{"debug": }')
    restarted = galley("restart")
    assert restarted.returncode == 0, restarted.stderr
    [problem] = status(galley).problems
    assert "Line 1, column 11" in problem.summary
    good = home.root / "good.json"
    good.write_text("{}")
    assert galley("settings", "daemon", "--file", str(good)).returncode == 0
    assert status(galley).problems == ()
    assert galley("delete", "--yes").returncode == 0


def test_start_stop_and_delete(galley: Galley, home: Home) -> None:
    assert status(galley).state == "absent"
    assert not status(galley).supervisor
    started = galley("start")
    assert started.returncode == 0, started.stderr
    assert "Booting Linux" in started.stderr
    assert "The engine is ready" in started.stdout
    seen = status(galley)
    assert seen.state == "running"
    assert seen.engine.reachable
    assert seen.endpoint == f"unix://{home.docker_socket}"
    assert seen.boot
    assert all(step.seconds is not None for step in seen.boot)
    assert seen.vm.use is not None
    assert seen.vm.use.memory.containers == 256 << 20
    assert "256 MiB by containers" in galley("status").stdout
    assert "already" in galley("start").stdout
    assert galley("ports", "--json").stdout.startswith("[")
    assert json.loads(galley("version", "--json").stdout)["engine"] == seen.engine.version
    assert galley("stop").stdout == "Stopped.\n"
    assert status(galley).state == "stopped"
    assert galley("delete").returncode == 2
    assert galley("delete", "--yes").returncode == 0
    assert status(galley).state == "absent"
    assert galley("delete", "--yes").returncode == 3


def test_an_auto_suspended_machine_is_reported_until_a_stop(galley: Galley, home: Home) -> None:
    """With and without a supervisor."""
    auto_suspended = MachineDir.of(home).auto_suspended
    assert galley("start").returncode == 0
    assert galley("stop").returncode == 0
    auto_suspended.touch()
    for _ in range(2):
        seen = status(galley)
        assert seen.auto_suspended
        assert seen.state == "stopped"
    output = galley("status").stdout
    assert "suspended to disk by Resource Saver" in output
    assert "the first use resumes it" in output
    assert galley("stop").stdout == "The engine is not running.\n"
    assert not status(galley).auto_suspended
    assert "Resource Saver" not in galley("status").stdout
    assert galley("quit").returncode == 0
    auto_suspended.touch()
    seen = status(galley)
    assert seen.auto_suspended
    assert not seen.supervisor
    assert "galley start resumes it" in galley("status").stdout
    assert galley("stop").returncode == 0
    assert not auto_suspended.exists(), "the next supervisor would resume it"
    auto_suspended.touch()
    assert galley("suspend").returncode == 0
    assert not auto_suspended.exists()


def test_disk_use_is_shown_and_reclaimed(galley: Galley) -> None:
    assert "no machine yet" in galley("disk").stdout
    assert galley("disk", "reclaim").returncode == 3
    assert galley("start").returncode == 0
    seen = json.loads(galley("disk", "--json").stdout)
    assert seen["used_in_machine"] == 3 << 30
    assert seen["images"] == seen["images_unused"] == 190_000_000
    text = galley("disk").stdout
    assert "3 GiB used, 58.7 GiB left" in text
    assert "Images" in text
    reclaimed = galley("disk", "reclaim")
    assert reclaimed.returncode == 0, reclaimed.stderr
    assert "Freed " in reclaimed.stdout
    assert json.loads(galley("disk", "reclaim", "--json").stdout)["after"] == 0
    assert galley("stop").returncode == 0
    assert json.loads(galley("disk", "--json").stdout)["images"] is None


def test_a_restart_of_the_supervisor_keeps_the_machine_running(galley: Galley, home: Home) -> None:
    assert galley("start").returncode == 0
    before, machine = _supervisor(home), home.machine / "running.json"
    pid = machine.read_bytes() if machine.exists() else b""
    done = galley("restart", "--supervisor")
    assert done.returncode == 0, done.stderr
    assert _supervisor(home) != before
    assert (machine.read_bytes() if machine.exists() else b"") == pid
    assert status(galley).state == "running"


def test_status_reports_a_machine_without_a_supervisor(galley: Galley, home: Home) -> None:
    assert galley("start").returncode == 0
    os.kill(int(_supervisor(home)), signal.SIGKILL)
    seen = status(galley)
    assert seen.state == "running"
    assert not seen.supervisor
    assert "galley start" in galley("status").stdout
    assert galley("diagnose").returncode == 1
    assert galley("stop").stdout == "Stopped.\n"


def test_ctrl_c_cancels_a_start(galley: Galley, home: Home) -> None:
    script = FakeScript(stall="sshd")
    (home.machine / "fake.json").write_bytes(msgspec.json.encode(script))
    with subprocess.Popen(
        command("start"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        assert "Checking the guest image" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        output = child.stderr.read()
    assert child.returncode == 130, output
    assert "The start was cancelled" in output
    assert "Traceback" not in output
    assert status(galley).state in ("stopped", "absent")


def test_a_bundle_contains_status_and_logs_without_the_key(
    galley: Galley, home: Home, tmp_path: Path
) -> None:
    assert galley("start").returncode == 0
    key = (home.run / "control.key").read_text()
    with (home.logs / "console.log").open("a") as log:
        log.write(f"the key is {key}\n")
    done = galley("diagnose", "--bundle", str(tmp_path / "bundle.zip"))
    assert "Traceback" not in done.stderr, done.stderr
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        content = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"versions.txt", "checks.json", "status.json", "logs/supervisor.log"} <= set(content)
    assert json.loads(content["status.json"])["machine"]["state"] == "running"
    assert "the key is <redacted>" in content["logs/console.log"]
    assert not any(key in text for text in content.values())


def _supervisor(home: Home) -> str:
    return (home.run / "supervisor.pid").read_text().strip()
