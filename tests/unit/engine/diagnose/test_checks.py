"""Each check detects its fault, and a check that raises does not stop the others."""

import datetime
import os
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from engine.diagnose import docker, host, machine
from engine.diagnose.facts import Check, Facts
from engine.diagnose.run import CHECKS, Outcome, gathered, run_checks
from engine.dockercli.context import endpoint
from engine.settings.store import SettingsStore
from engine.types import EngineHealth, EngineStatus, ImageStatus, PublishedPort
from tests import small_image
from tests.unit.engine.images.current import CURRENT, LATER
from vm.backends.fake import FakeBackend
from vm.capabilities import Explains
from vm.directory import MachineDir
from vm.errors import MachineError, PortInUse, Problem
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.host.process import Completed
from vm.image import MANIFEST
from vm.messages import Message
from vm.types import Accelerator, Forward, MachineState, Observation, Status


class FakeGuest:
    """Returns `output` for every command."""

    def __init__(self, output: bytes) -> None:
        self.output = output

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        return Completed(argv, 0, self.output, b"")


def running(home: Home, **more: Any) -> Facts:
    accelerator = Accelerator("tcg", "There is no KVM.")
    seen = Observation(MachineState.RUNNING, accelerator=accelerator)
    return Facts(home, observation=seen, settings=SettingsStore(home).load(), **more)


def status(home: Home, *published: PublishedPort) -> EngineStatus:
    machine = Status(MachineState.RUNNING, "fake")
    return EngineStatus("1", endpoint(home), machine, EngineHealth(True), published)


def test_every_check_has_a_unique_title() -> None:
    assert len({check.title for check in CHECKS}) == len(CHECKS)


def test_every_check_is_run() -> None:
    defined = {
        value
        for module in (host, machine, docker)
        for value in vars(module).values()
        if isinstance(value, Check)
    }
    assert defined == set(CHECKS)


def test_a_fresh_home_has_no_problems(home: Home) -> None:
    SettingsStore(home).set("backend", "fake")
    SettingsStore(home).set("memory", "1GiB")
    with gathered(home) as facts:
        results = run_checks(facts)
    assert {result.outcome for result in results} <= {Outcome.FINE, Outcome.SKIPPED}


def test_a_broken_settings_file_is_reported_and_the_checks_still_run(home: Home) -> None:
    home.settings.write_text("this is [not toml")
    with gathered(home) as facts:
        results = run_checks(facts)
    assert results[0].problem is not None
    assert len(results) > len(CHECKS)


@pytest.mark.parametrize("error", [MachineError(Message("", "No.")), PermissionError(13, "denied")])
def test_a_check_that_raises_is_a_problem(home: Home, error: Exception) -> None:
    def broken(facts: Facts) -> Problem | None:
        raise error

    (result,) = run_checks(Facts(home), (Check("broken", lambda facts: True, broken),))
    assert result.outcome is Outcome.PROBLEM


def test_emulation_is_reported(home: Home) -> None:
    found = machine.ACCELERATION.check(running(home))
    assert found is not None
    assert "There is no KVM." in found.hint


def test_slow_starts_are_reported(home: Home) -> None:
    class Slow(Explains):
        def why_slow(self, directory: MachineDir) -> Problem | None:
            return Problem("BackendFailed", f"{directory.root} is slow.")

        def why_only_root_writes(self, asked: str) -> Problem | None:
            return None

    assert not machine.STARTS.applies(Facts(home))
    backend = FakeBackend()
    backend.explains = Slow()
    assert machine.STARTS.applies(running(home, backend=backend))
    problem = machine.STARTS.check(running(home, backend=backend))
    assert problem is not None
    assert str(home.machine) in problem.summary


def test_a_wrong_clock_is_reported(home: Home) -> None:
    now = datetime.datetime.now().timestamp()
    for clock, wrong in ((now, False), (now - 3600, True), (now + 60, True)):
        guest = cast(Guest, FakeGuest(b"%d\n" % clock))
        assert bool(machine.CLOCK.check(running(home, guest=guest))) is wrong
    assert machine.CLOCK.check(running(home, guest=cast(Guest, FakeGuest(b"date: what?"))))


def test_a_machine_without_its_supervisor_is_reported(home: Home) -> None:
    assert docker.SUPERVISOR.applies(running(home))
    assert docker.SUPERVISOR.check(running(home))
    assert docker.SUPERVISOR.check(running(home, status=status(home))) is None


def test_a_port_that_is_not_open_is_reported(home: Home) -> None:
    problem = PortInUse(Message("", "Port 80 is taken.")).to_problem()
    port = PublishedPort("web", 80, Forward("127.0.0.1", 80, 80), problem)
    assert docker.PORTS.check(running(home, status=status(home, port))) == problem


def test_an_invalid_setting_is_reported(home: Home) -> None:
    home.settings.write_text("cpus = 0\n")
    assert host.SETTINGS.check(running(home))


def test_more_memory_than_available_is_reported(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Facts(home, settings=SettingsStore(home).load())
    assert host.MEMORY.applies(facts)
    monkeypatch.setattr(host, "available_memory", lambda: 1)
    assert host.MEMORY.check(facts)


def test_a_full_disk_is_reported(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "free_space", lambda folder: 1)
    assert host.SPACE.check(Facts(home))


def test_an_unwritable_folder_is_reported(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != home.logs)
    assert host.FOLDERS.check(Facts(home))


def test_a_damaged_image_is_reported(home: Home) -> None:
    (home.images / "one").mkdir()
    (home.images / "one" / "manifest.json").write_text("{}")
    assert machine.IMAGE.applies(Facts(home))
    assert machine.IMAGE.check(Facts(home))


def test_the_image_in_use_is_checked_else_the_one_of_the_next_start(home: Home) -> None:
    used, newer = (small_image.add_to(home.images, each) for each in (CURRENT, LATER))
    os.utime(used / MANIFEST, (1, 1))
    (newer / "vmlinux").write_bytes(b"")
    in_use = ImageStatus(used.name, CURRENT.channel, "26.1.5", CURRENT.date)
    facts = Facts(home, status=msgspec.structs.replace(status(home), image=in_use))
    assert machine.IMAGE.check(facts) is None
    assert machine.IMAGE.check(Facts(home))
    os.utime(used / MANIFEST)
    os.utime(newer / MANIFEST, (1, 1))
    assert machine.IMAGE.check(Facts(home))
    (used / "vmlinux").write_bytes(b"")
    assert machine.IMAGE.check(facts)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    program = tmp_path / "docker"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return monkeypatch


def test_a_docker_client_of_another_engine_is_reported(
    home: Home, client: pytest.MonkeyPatch
) -> None:
    facts = running(home)
    assert docker.CLIENT.check(facts)
    client.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    found = docker.CLIENT.check(facts)
    assert found is not None
    assert "tcp://elsewhere:1" in found.summary
    client.setenv("DOCKER_HOST", endpoint(home))
    assert docker.CLIENT.check(facts) is None
    client.setenv("PATH", "/nowhere")
    found = docker.CLIENT.check(facts)
    assert found is not None
    assert msgspec.structs.asdict(found)["kind"] == "ToolMissing"


def test_a_daemon_json_that_is_not_in_use_is_reported(home: Home) -> None:
    facts = Facts(home)
    assert not docker.DAEMON_JSON.applies(facts)
    home.daemon_config.write_text('{"debug": }')
    assert docker.DAEMON_JSON.applies(facts)
    problem = docker.DAEMON_JSON.check(facts)
    assert problem is not None
    assert "Line 1, column 11" in problem.summary
    home.daemon_config.write_text('{"bip": "x"}')
    assert docker.DAEMON_JSON.check(facts) is None
    (home.logs / "console.log").write_text("galley: daemon.json refused: invalid bip\n")
    refused = docker.DAEMON_JSON.check(running(home))
    assert refused is not None
    assert "invalid bip" in refused.summary
