"""How the supervisor takes and restores snapshots: progress, cancelling, resuming; on the fake."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from engine.lifecycle.resource_saver import ResourceSaver
from engine.lifecycle.saver_states import SaverState
from engine.lifecycle.snapshots import Snapshots
from engine.lifecycle.stopping import StopSequence
from engine.ports.guest_rules import GuestRules
from engine.settings.store import SettingsStore
from tests.unit.engine.sleepy import Sleepy
from vm import last_spec
from vm.backends.fake import FakeBackend
from vm.directory import MachineDir
from vm.errors import (
    BackendFailed,
    Cancelled,
    DiskFull,
    MachineBusy,
    MachineError,
    Problem,
    SnapshotRefused,
)
from vm.guest.agent import GuestAgent
from vm.host import sparse
from vm.host.paths import Home
from vm.lifecycle import snapshots as on_disk
from vm.lifecycle.machine import Machine
from vm.messages import Message
from vm.types import MachineSpec, MachineState, SnapshotStep, SnapshotWork

SPEC = MachineSpec(cpus=1, memory_bytes=1 << 30, disk_bytes=1 << 30, image="")
MIB = 1 << 20
PATIENCE = 5.0  # seconds; only a test that fails waits so long


class NoFolders:
    bound: frozenset[str] = frozenset()


class SameImage:
    is_waiting = False


class Bench:
    """A running machine with a disk of 40 MiB, its snapshots, and the progress they reported."""

    def __init__(self, home: Home, backend: FakeBackend) -> None:
        directory = MachineDir.of(home)
        self.machine = Machine(directory, backend)
        self.reported: list[SnapshotWork | None] = []
        self.stalled: tuple[Problem, ...] = ()
        stop_sequence = StopSequence(
            machine=self.machine,
            settings=SettingsStore(home),
            dial=lambda: self.machine.dial("/run/docker.sock"),
            guest_rules=GuestRules(),
            monitors=self,
            folders=NoFolders(),
            image_updates=SameImage(),
        )
        self.saver = ResourceSaver(self.machine, directory.auto_suspended, self)
        self.spec = SPEC
        self.snapshots = Snapshots(self.machine, stop_sequence, self.saver, self._note)
        self.machine.open()
        self.snapshots.open(self.start)
        self.start()
        self.disk = directory.data_disk
        self.disk.write_bytes(b"x" * (40 * MIB))

    def start(self) -> None:
        self.machine.start(lambda wait, note: self.spec)

    def on_resumed(self) -> None: ...
    def on_auto_suspend_ended(self) -> None: ...

    def _note(self) -> None:
        self.reported.append(self.snapshots.work)


@pytest.fixture
def bench(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)  # so that copies take time
    made = Bench(home, FakeBackend())
    yield made
    made.machine.stop()
    made.machine.close()


@pytest.fixture
def sleepy(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench whose machine can be suspended."""
    monkeypatch.setattr(sparse, "clone", lambda source, target: False)
    made = Bench(home, Sleepy())
    yield made
    made.machine.stop()
    made.machine.close()


def backend_of(bench: Bench) -> Sleepy:
    assert isinstance(bench.machine.backend, Sleepy)
    return bench.machine.backend


def still_runs(bench: Bench) -> bool:
    """Whether the machine runs as before: not auto-suspended, and booted only once."""
    is_marked = bench.machine.directory.auto_suspended.exists()
    running = bench.machine.status.state is MachineState.RUNNING
    return running and not is_marked and backend_of(bench).boots == 1


def test_progress_is_reported_until_the_snapshot_is_listed(bench: Bench) -> None:
    bench.snapshots.create("one")
    assert [one.name for one in bench.snapshots.kept] == ["one"]
    done = [work.done_bytes for work in bench.reported if work is not None]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 40 * MIB)
    assert bench.reported[-1] is None


def test_a_paused_machine_is_resumed_for_a_snapshot(bench: Bench) -> None:
    assert bench.machine.pause()
    bench.snapshots.create("one")
    assert bench.machine.status.state is MachineState.RUNNING


def test_a_failed_freeze_is_recorded_in_the_snapshot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is then as after a power cut, which is better than none."""

    def fail(_: GuestAgent) -> None:
        raise MachineError(Message("", "It cannot."))

    bench.snapshots.create("frozen")
    monkeypatch.setattr(GuestAgent, "freeze", fail)
    bench.snapshots.create("not-frozen")
    assert [one.settled for one in bench.snapshots.kept] == [True, False]


def test_a_copy_can_be_cancelled_and_the_machine_runs_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread cancels while the disk is copied."""
    copying, may_continue = threading.Event(), threading.Event()
    move = sparse._move

    def slowly(*arguments: object) -> int:
        copying.set()
        may_continue.wait()
        return move(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sparse, "_move", slowly)

    def cancel() -> None:
        copying.wait()
        bench.snapshots.cancel()
        may_continue.set()

    other = threading.Thread(target=cancel)
    other.start()
    with pytest.raises(Cancelled):
        bench.snapshots.create("one")
    other.join()
    assert bench.snapshots.kept == ()
    assert bench.snapshots.work is None
    assert bench.machine.status.state is MachineState.RUNNING
    bench.snapshots.create("one")


def test_the_machine_runs_again_after_a_failed_restore(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.snapshots.create("one")
    bench.disk.write_bytes(b"second")

    def fail(*_: object) -> None:
        raise Cancelled(Message("", "Enough."))

    monkeypatch.setattr(on_disk, "restore", fail)
    with pytest.raises(Cancelled):
        bench.snapshots.restore("one")
    assert bench.machine.status.state is MachineState.RUNNING
    assert bench.disk.read_bytes() == b"second"


def test_restoring_a_missing_snapshot_does_not_stop_the_machine(bench: Bench) -> None:
    pid = bench.machine.backend.observe(bench.machine.directory).pid
    with pytest.raises(SnapshotRefused):
        bench.snapshots.restore("none")
    assert bench.machine.backend.observe(bench.machine.directory).pid == pid


def test_a_snapshot_with_memory_suspends_and_resumes_the_machine(sleepy: Bench) -> None:
    """Changed settings do not apply: the machine resumes as it was started."""
    sleepy.spec = msgspec.structs.replace(SPEC, cpus=2)
    sleepy.snapshots.create("one", memory=True)
    [one] = sleepy.snapshots.kept
    assert one.memory_bytes > 0
    assert one.settled
    assert still_runs(sleepy)
    steps = list(dict.fromkeys(work.step for work in sleepy.reported if work is not None))
    assert steps == list(SnapshotStep)
    assert sleepy.reported[-1] is None


def test_restore_with_memory_and_without(sleepy: Bench) -> None:
    backend = backend_of(sleepy)
    sleepy.snapshots.create("one", memory=True)
    sleepy.machine.stop()
    sleepy.start()
    assert backend.memory == 2
    sleepy.snapshots.restore("one")
    assert (backend.memory, backend.boots) == (1, 2)
    sleepy.snapshots.restore("one", cold=True)
    assert (backend.memory, backend.boots) == (3, 3)


def test_the_memory_of_a_snapshot_resumes_with_its_image(sleepy: Bench) -> None:
    """A start would use the newest one otherwise."""
    images, directory = sleepy.machine.directory.home.images, sleepy.machine.directory
    sleepy.machine.stop()
    sleepy.spec = msgspec.structs.replace(SPEC, image=str(images / "older"))
    sleepy.start()
    sleepy.snapshots.create("one", memory=True)
    sleepy.machine.stop()
    sleepy.spec = msgspec.structs.replace(SPEC, image=str(images / "newer"))
    sleepy.start()
    sleepy.machine.stop()
    sleepy.snapshots.restore("one")
    kept = last_spec.read(directory)
    assert kept is not None
    assert kept.image == str(images / "older")
    assert kept.disk_bytes == 0


def test_a_paused_machine_is_saved_with_memory_and_runs_afterwards(sleepy: Bench) -> None:
    assert sleepy.machine.pause()
    sleepy.snapshots.create("one", memory=True)
    assert sleepy.snapshots.kept[0].memory_bytes > 0
    assert still_runs(sleepy)


@pytest.mark.parametrize("memory", [True, False])
def test_a_suspended_machine_is_saved_with_memory_and_stays_suspended(
    sleepy: Bench, memory: bool
) -> None:
    sleepy.machine.suspend()
    sleepy.snapshots.create("one", memory=memory)
    assert sleepy.snapshots.kept[0].memory_bytes > 0
    assert sleepy.machine.status.resumable
    assert not sleepy.machine.directory.auto_suspended.exists()


def test_a_machine_that_is_powered_off_has_no_memory_to_save(sleepy: Bench) -> None:
    sleepy.machine.stop()
    with pytest.raises(SnapshotRefused, match="no memory to save"):
        sleepy.snapshots.create("one", memory=True)
    assert sleepy.snapshots.kept == ()
    sleepy.snapshots.create("one")


def test_memory_is_refused_at_once_where_the_backend_cannot_suspend(bench: Bench) -> None:
    refusal = bench.snapshots.no_memory()
    assert refusal is not None
    assert "cannot be suspended" in refusal.summary
    with pytest.raises(SnapshotRefused, match="cannot be suspended"):
        bench.snapshots.create("one", memory=True)
    assert bench.reported == []


@pytest.mark.parametrize("way", ["starting", "stopping"])
def test_a_snapshot_with_memory_is_refused_during_a_start_or_stop(sleepy: Bench, way: str) -> None:
    """A cancel then belongs to the start, and no use resumes a machine that the user stops."""
    backend, begun, may_end = backend_of(sleepy), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        may_end.wait(PATIENCE)

    act: Callable[[], None] = sleepy.machine.suspend
    if way == "starting":
        sleepy.machine.suspend()
        act = sleepy.start
    backend.at_suspend = backend.at_resume = hold
    other = threading.Thread(target=act)
    other.start()
    assert begun.wait(PATIENCE)
    try:
        with pytest.raises(MachineBusy, match=way):
            sleepy.snapshots.create("one", memory=True)
        assert not sleepy.machine.directory.auto_suspended.exists()
        assert sleepy.reported == []
    finally:
        may_end.set()
        other.join()


def test_a_machine_stalled_by_a_full_disk_is_not_suspended(sleepy: Bench) -> None:
    sleepy.stalled = (DiskFull(Message("", "There is no room.", "Make some.")).to_problem(),)
    with pytest.raises(DiskFull):
        sleepy.snapshots.create("one", memory=True)
    assert still_runs(sleepy)


def test_a_duplicate_name_does_not_suspend_the_machine(sleepy: Bench) -> None:
    sleepy.snapshots.create("one")
    backend_of(sleepy).at_suspend = lambda: pytest.fail("the machine was suspended")
    with pytest.raises(SnapshotRefused, match="already"):
        sleepy.snapshots.create("One", memory=True)


@pytest.mark.parametrize("owner", [on_disk, sparse])
def test_the_machine_resumes_when_the_copy_fails(
    sleepy: Bench, monkeypatch: pytest.MonkeyPatch, owner: Any
) -> None:
    def fail(*_: object) -> None:
        raise DiskFull(Message("", "There is no room."))

    monkeypatch.setattr(owner, "create" if owner is on_disk else "duplicate", fail)
    with pytest.raises(DiskFull):
        sleepy.snapshots.create("one", memory=True)
    assert still_runs(sleepy)
    assert sleepy.snapshots.kept == ()
    assert sleepy.snapshots.work is None


def test_the_machine_runs_on_when_the_suspend_fails(sleepy: Bench) -> None:
    def fail() -> None:
        raise BackendFailed(Message("", "It cannot."))

    backend_of(sleepy).at_suspend = fail
    with pytest.raises(BackendFailed):
        sleepy.snapshots.create("one", memory=True)
    assert still_runs(sleepy)
    assert sleepy.snapshots.kept == ()


def test_the_machine_resumes_after_a_cancel(sleepy: Bench) -> None:
    """The cancel comes during the suspend, which is completed."""
    backend_of(sleepy).at_suspend = sleepy.snapshots.cancel
    with pytest.raises(Cancelled):
        sleepy.snapshots.create("one", memory=True)
    assert still_runs(sleepy)
    assert sleepy.snapshots.kept == ()
    backend_of(sleepy).at_suspend = lambda: None
    sleepy.snapshots.create("one", memory=True)


def test_a_request_during_a_snapshot_waits_for_the_resume(
    sleepy: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine counts as auto-suspended, also for the next supervisor if this one dies. The
    request does not cold start it with the changed settings."""
    sleepy.spec = msgspec.structs.replace(SPEC, cpus=2)
    duplicate, client = sparse.duplicate, threading.Thread(target=sleepy.saver.awake)
    seen: list[SaverState] = []

    def slowly(*arguments: Any) -> None:
        seen.append(sleepy.saver.state)
        client.start()
        duplicate(*arguments)

    monkeypatch.setattr(sparse, "duplicate", slowly)
    sleepy.snapshots.create("one", memory=True)
    client.join()
    assert seen == [SaverState.SUSPENDED]
    assert still_runs(sleepy)
