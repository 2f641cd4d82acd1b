"""`galley snapshot` with the fake backend; the tests write the data disk themselves."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.unit.engine.cli.conftest import Galley
from vm.directory import MachineDir
from vm.host.paths import Home
from vm.types import MachineSnapshot

pytestmark = pytest.mark.usefixtures("quit_afterwards")


@pytest.fixture
def disk(galley: Galley, home: Home) -> Path:
    """The data disk of a running machine, with the content "first"."""
    assert galley("start").returncode == 0
    found = MachineDir.of(home).data_disk
    found.write_text("first")
    return found


def listed(galley: Galley) -> list[MachineSnapshot]:
    return msgspec.json.decode(
        galley("snapshot", "list", "--json").stdout, type=list[MachineSnapshot]
    )


def state(galley: Galley) -> str:
    return str(json.loads(galley("status", "--json").stdout)["state"])


def test_a_snapshot_is_created_restored_and_deleted(galley: Galley, home: Home, disk: Path) -> None:
    assert "There are no snapshots" in galley("snapshot", "list").stdout
    made = galley("snapshot", "create", "one")
    assert made.returncode == 0, made.stderr
    assert "Created the snapshot one" in made.stdout
    assert made.stderr == ""
    [one] = listed(galley)
    assert (one.name, one.settled) == ("one", True)
    disk.write_text("second")
    back = galley("snapshot", "restore", "one", "--yes")
    assert back.returncode == 0, back.stderr
    assert "Restored the machine to" in back.stdout
    assert disk.read_text() == "first"
    assert state(galley) == "running"
    assert galley("snapshot", "delete", "one").returncode == 0
    assert listed(galley) == []


def test_a_snapshot_of_a_stopped_machine(galley: Galley, disk: Path) -> None:
    assert galley("stop").returncode == 0
    made = galley("snapshot", "create", "one")
    assert made.stderr == ""
    assert listed(galley)[0].settled
    disk.write_text("second")
    assert galley("snapshot", "restore", "one", "--yes").returncode == 0
    assert disk.read_text() == "first"
    assert state(galley) == "stopped"


def test_a_restore_replaces_a_damaged_disk(galley: Galley, home: Home, disk: Path) -> None:
    script = MachineDir.of(home).root / "fake.json"
    assert galley("snapshot", "create", "good").returncode == 0
    script.write_text('{"damaged": true}')
    assert galley("restart").returncode == 1
    assert state(galley) == "failed"
    script.write_text("{}")
    assert galley("snapshot", "restore", "good", "--yes").returncode == 0
    seen = json.loads(galley("status", "--json").stdout)
    assert (seen["state"], seen["problems"]) == ("stopped", [])
    assert galley("start").returncode == 0


def test_a_restore_without_a_terminal_requires_yes(galley: Galley, disk: Path) -> None:
    assert galley("snapshot", "create", "one").returncode == 0
    disk.write_text("second")
    refused = galley("snapshot", "restore", "one")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert disk.read_text() == "second"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("create", "a/b"), "cannot be named"),
        (("create", "one"), "already"),
        (("restore", "two", "--yes"), "There is no snapshot two"),
        (("delete", "two"), "There is no snapshot two"),
    ],
)
def test_an_invalid_snapshot_command_is_refused(
    galley: Galley, disk: Path, words: tuple[str, ...], message: str
) -> None:
    assert galley("snapshot", "create", "one").returncode == 0
    done = galley("snapshot", *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert [one.name for one in listed(galley)] == ["one"]


def test_a_snapshot_with_memory_fails_if_the_backend_cannot_suspend(
    galley: Galley, disk: Path
) -> None:
    """A restore with --cold still works for a snapshot without memory."""
    refused = galley("snapshot", "create", "one", "--memory")
    assert refused.returncode == 1
    assert "cannot be suspended" in refused.stderr
    assert "without memory" in refused.stderr
    assert listed(galley) == []
    assert galley("snapshot", "create", "one").returncode == 0
    assert galley("snapshot", "restore", "one", "--cold", "--yes").returncode == 0
    assert state(galley) == "running"


def test_a_snapshot_before_the_first_start_is_refused(galley: Galley) -> None:
    done = galley("snapshot", "create", "one")
    assert done.returncode == 3
    assert "no data to save" in done.stderr


def test_deleting_the_machine_deletes_its_snapshots(galley: Galley, home: Home, disk: Path) -> None:
    assert galley("snapshot", "create", "one").returncode == 0
    assert galley("delete", "--yes").returncode == 0
    assert listed(galley) == []
    assert list(MachineDir.of(home).snapshots.iterdir()) == []


def test_a_supervisor_removes_an_unfinished_snapshot(galley: Galley, home: Home) -> None:
    half = MachineDir.of(home).snapshots / "half"
    half.mkdir(parents=True)
    (half / "data.img").write_text("half")
    assert galley("start").returncode == 0
    assert not half.exists()


def test_start_writes_a_trace(galley: Galley, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    assert galley("start", "--trace", str(file)).returncode == 0
    names = {row["name"] for row in json.loads(file.read_bytes())["traceEvents"]}
    assert {"Booting Linux", "Opening the Docker socket", "dockerd answers", "engine"} <= names
    nowhere = galley("start", "--trace", str(tmp_path / "missing" / "trace.json"))
    assert nowhere.returncode == 2
    assert "cannot be written" in nowhere.stderr
