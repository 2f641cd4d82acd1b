"""What the supervisor does for a snapshot: progress, cancelling, waking; on the fake machine."""

import threading
from collections.abc import Callable, Iterator

import pytest

from engine.snapshots import Snapshots
from vm import snapshots as on_disk
from vm.backends.fake import FakeBackend
from vm.boot import Patience
from vm.directory import MachineDir
from vm.errors import Cancelled, MachineError, SnapshotRefused
from vm.host import sparse
from vm.host.paths import Home
from vm.keeper import Keeper
from vm.machine import Machine
from vm.types import MachineSpec, MachineState, SnapshotWork

SPEC = MachineSpec(cpus=1, memory_bytes=1 << 30, disk_bytes=1 << 30, image="")
MIB = 1 << 20


def prepare(wait: Patience, note: Callable[[str], None]) -> MachineSpec:
    return SPEC


class Bench:
    """A machine that runs, its disk of 40 MiB, its snapshots, and what was told of them."""

    def __init__(self, directory: MachineDir) -> None:
        self.machine = Machine(directory, FakeBackend(), lambda status: None)
        self.told: list[SnapshotWork | None] = []
        self.snapshots = Snapshots(self.machine, self.start, self._note)
        self.machine.open()
        self.snapshots.open()
        self.start()
        self.disk = directory.data_disk
        self.disk.write_bytes(b"x" * (40 * MIB))

    def start(self) -> None:
        self.machine.start(prepare)

    def _note(self) -> None:
        self.told.append(self.snapshots.work)


@pytest.fixture
def bench(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)  # so that copies take time
    made = Bench(MachineDir.of(home))
    yield made
    made.machine.stop()
    made.machine.close()


def test_how_far_it_is_is_told_and_then_what_there_is(bench: Bench) -> None:
    bench.snapshots.create("one")
    assert [one.name for one in bench.snapshots.kept] == ["one"]
    done = [work.done_bytes for work in bench.told if work is not None]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 40 * MIB)
    assert bench.told[-1] is None


def test_a_paused_machine_is_woken_for_it(bench: Bench) -> None:
    assert bench.machine.pause()
    bench.snapshots.create("one")
    assert bench.machine.status.state is MachineState.RUNNING


def test_a_file_system_that_cannot_be_brought_to_rest_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is as after a power cut, which is better than none."""

    def fail(_: Keeper) -> None:
        raise MachineError("It cannot.")

    bench.snapshots.create("at-rest")
    monkeypatch.setattr(Keeper, "freeze", fail)
    bench.snapshots.create("not-at-rest")
    assert [one.settled for one in bench.snapshots.kept] == [True, False]


def test_a_copy_can_be_cancelled_and_the_machine_runs_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, while it copies."""
    copying, go_on = threading.Event(), threading.Event()
    move = sparse._move

    def slowly(*arguments: object) -> int:
        copying.set()
        go_on.wait()
        return move(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sparse, "_move", slowly)

    def cancel() -> None:
        copying.wait()
        bench.snapshots.cancel()
        go_on.set()

    other = threading.Thread(target=cancel)
    other.start()
    with pytest.raises(Cancelled):
        bench.snapshots.create("one")
    other.join()
    assert bench.snapshots.kept == ()
    assert bench.snapshots.work is None
    assert bench.machine.status.state is MachineState.RUNNING
    bench.snapshots.create("one")


def test_a_restore_that_fails_brings_the_machine_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.snapshots.create("one")
    bench.disk.write_bytes(b"second")

    def fail(*_: object) -> None:
        raise Cancelled("Enough.")

    monkeypatch.setattr(on_disk, "restore", fail)
    with pytest.raises(Cancelled):
        bench.snapshots.restore("one")
    assert bench.machine.status.state is MachineState.RUNNING
    assert bench.disk.read_bytes() == b"second"


def test_what_cannot_be_restored_stops_nothing(bench: Bench) -> None:
    pid = bench.machine.backend.observe(bench.machine.directory).pid
    with pytest.raises(SnapshotRefused):
        bench.snapshots.restore("none")
    assert bench.machine.backend.observe(bench.machine.directory).pid == pid
