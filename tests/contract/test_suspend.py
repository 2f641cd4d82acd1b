"""Suspend and resume, also when the power or a process fails at the worst moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.capability import have
from tests.contract.conftest import Bench
from tests.contract.moments import SUSPEND
from tests.contract.power import (
    Disk,
    PowerCut,
    cut_power,
    cut_power_at,
    faults_of,
    power_on,
    try_it,
)
from vm import in_use
from vm.backends.qemu.state import saved
from vm.directory import MachineDir
from vm.errors import DiskFull, NotResumable
from vm.guest.ssh import public_blob
from vm.types import BootOptions, MachineState

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("used")]

LINES = "/var/lib/galley-data/lines"


def write_line(bench: Bench, line: str) -> None:
    """Returns when the line is synced to the disk."""
    done = bench.machine.guest.run(("sh", "-c", f"echo {line} >> {LINES} && sync {LINES}"))
    assert done.ok, done.tail()


def lines(bench: Bench) -> list[str]:
    return bench.machine.guest.read(LINES).decode().split()


def check_disk(bench: Bench) -> None:
    assert faults_of(bench.directory.data_disk) == ""


def boot_of(bench: Bench) -> list[str]:
    return [step.step for step in bench.machine.status.boot]


def was_resumed(bench: Bench) -> bool:
    return "Resuming the machine" in boot_of(bench) and bench.machine.status.notice is None


def test_a_resumed_machine_continues_where_it_was(bench: Bench) -> None:
    machine = bench.open()
    bench.boot()
    write_line(bench, "one")
    machine.guest.run(("sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo $! > /run/sleeper"))
    sleeper = machine.guest.read("/run/sleeper").decode().strip()
    for _ in range(2):
        machine.suspend()
        assert bench.state() is MachineState.STOPPED
        assert machine.status.resumable
        assert bench.pid() is None
        assert have(bench.backend.suspends).is_suspended(bench.directory)
        bench.boot()
        assert was_resumed(bench), machine.status
        assert not have(bench.backend.suspends).is_suspended(bench.directory)
    assert machine.guest.run(("kill", "-0", sleeper)).ok
    assert lines(bench) == ["one"]
    write_line(bench, "two")
    machine.stop()
    bench.boot()
    assert not was_resumed(bench)
    assert lines(bench) == ["one", "two"]
    repaired = [line for line in machine.story.console.lines() if line.startswith("disk")]
    assert repaired == ["disk ok"]


def test_a_suspend_on_a_full_disk_leaves_the_machine_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bench.open()
    bench.boot()
    before = bench.pid()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "_write_memory", full)
    with pytest.raises(DiskFull):
        machine.suspend()
    assert bench.state() is MachineState.RUNNING
    assert bench.pid() == before
    write_line(bench, "still here")
    assert not have(bench.backend.suspends).is_suspended(bench.directory)


def flip_a_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1 << 20)
        byte = file.read(1)
        file.seek(1 << 20)
        file.write(bytes([byte[0] ^ 1]))


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


# Each fault with its reason. The order is the reverse of the checks, because the faults add up.
FAULTS: list[tuple[str, Callable[[MachineDir], object]]] = [
    ("which was removed or replaced", lambda files: replace_folder(files.root / "used")),
    ("the data disk has been changed", lambda files: files.data_disk.touch()),
    ("a file of it has been changed", lambda files: flip_a_byte(files.suspended / "ram")),
    ("a file of it has been changed", lambda files: cut_short(files.suspended / "state")),
    ("its settings have changed", lambda files: None),
    ("a file of it is missing", lambda files: (files.suspended / "ram").unlink()),
    ("its manifest cannot be read", lambda files: spoil(files.suspended / "manifest.json")),
]


def replace_folder(folder: Path) -> None:
    """The new folder may get the same inode number."""
    folder.rmdir()
    folder.mkdir()


def spoil(file: Path) -> None:
    file.write_text("{}")


def test_a_suspended_machine_with_a_fault_is_not_resumed(bench: Bench) -> None:
    machine = bench.open()
    bench.boot()
    write_line(bench, "kept")
    (bench.directory.root / "used").mkdir()
    machine.suspend(lambda: in_use.keep(bench.directory, [str(bench.directory.root / "used")]))
    options = BootOptions(login_key=public_blob(bench.directory.public_key))
    suspends = have(bench.backend.suspends)
    for reason, change in FAULTS:
        change(bench.directory)
        spec = bench.spec()
        if "settings" in reason:
            spec = msgspec.structs.replace(spec, cpus=2)
        with pytest.raises(NotResumable, match=reason):
            suspends.resume(bench.directory, spec, options, lambda _: None)
        assert bench.pid() is None
    bench.boot()
    assert not was_resumed(bench)
    assert machine.status.notice is not None
    assert FAULTS[-1][0] in machine.status.notice.summary
    assert lines(bench) == ["kept"]
    assert not bench.directory.suspended.exists(), "the suspended machine is deleted"


def test_the_next_supervisor_adopts_a_machine_whose_suspend_was_interrupted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.open()
    bench.boot()
    pid = bench.pid()

    def die(*_: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(saved, "_write_memory", die)
        with pytest.raises(PowerCut):
            bench.machine.suspend()
    bench.machine.close()
    machine = bench.open()
    assert bench.state() is MachineState.PAUSED, "its vCPUs are halted and its disk is frozen"
    machine.wake()
    write_line(bench, "written")
    assert (bench.pid(), lines(bench)) == (pid, ["written"])


@pytest.mark.parametrize("way", list(SUSPEND))
def test_a_power_cut_at_any_moment_loses_no_acknowledged_line(
    powered: Bench, disk: Disk, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards the machine resumes or boots; either way it has every line."""
    powered.open()
    powered.boot()
    names = [moment.name for moment in SUSPEND[way]]
    for number, moment in enumerate(SUSPEND[way]):
        write_line(powered, moment.name)
        if way == "resuming":
            powered.machine.suspend()
        with monkeypatch.context() as patch:
            reached = cut_power_at(powered, disk, moment, patch)
            try_it(powered.machine.suspend if way == "saving" else powered.start)
        assert reached(), moment.name
        power_on(powered, disk)
        powered.boot()
        assert lines(powered) == names[: number + 1], moment.name
    powered.stop()
    check_disk(powered)


def test_a_machine_is_resumed_after_a_power_cut_but_never_twice(powered: Bench, disk: Disk) -> None:
    """A suspended machine survives a power cut; once resumed, its saved state is not used again."""
    powered.open()
    powered.boot()
    write_line(powered, "before")
    powered.machine.suspend()
    disk.cut()
    power_on(powered, disk)
    powered.boot()
    assert was_resumed(powered), "the state was on the disk when suspend returned"
    write_line(powered, "after")
    cut_power(powered, disk)
    power_on(powered, disk)
    powered.boot()
    assert not was_resumed(powered)
    assert lines(powered) == ["before", "after"]
