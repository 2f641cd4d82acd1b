"""What the supervisor does for a snapshot: progress, cancelling, waking; on the fake machine."""

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


class Bench:
    """A machine that runs, its disk of 40 MiB, its snapshots, and what was told of them."""

    def __init__(self, home: Home, backend: FakeBackend) -> None:
        directory = MachineDir.of(home)
        self.machine = Machine(directory, backend)
        self.told: list[SnapshotWork | None] = []
        self.stalled: tuple[Problem, ...] = ()
        stop_sequence = StopSequence(
            machine=self.machine,
            settings=SettingsStore(home),
            dial=lambda: self.machine.dial("/run/docker.sock"),
            guest_rules=GuestRules(),
            monitors=self,
            folders=NoFolders(),
        )
        self.saver = ResourceSaver(self.machine, directory.auto_suspended, self)
        self.spec = SPEC
        self.snapshots = Snapshots(self.machine, stop_sequence, self.saver, self.start, self._note)
        self.machine.open()
        self.snapshots.open()
        self.start()
        self.disk = directory.data_disk
        self.disk.write_bytes(b"x" * (40 * MIB))

    def start(self) -> None:
        self.machine.start(lambda wait, note: self.spec)

    def on_resumed(self) -> None: ...
    def on_auto_suspend_ended(self) -> None: ...

    def _note(self) -> None:
        self.told.append(self.snapshots.work)


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


def goes_on(bench: Bench) -> bool:
    """As it was: it runs, and has not booted since the first time."""
    away = bench.machine.directory.auto_suspended.exists()
    running = bench.machine.status.state is MachineState.RUNNING
    return running and not away and backend_of(bench).boots == 1


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

    def fail(_: GuestAgent) -> None:
        raise MachineError(Message("", "It cannot."))

    bench.snapshots.create("at-rest")
    monkeypatch.setattr(GuestAgent, "freeze", fail)
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
        raise Cancelled(Message("", "Enough."))

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


def test_with_its_memory_it_is_suspended_and_goes_on(sleepy: Bench) -> None:
    """Also with settings that have changed since: it goes on as it was started."""
    sleepy.spec = msgspec.structs.replace(SPEC, cpus=2)
    sleepy.snapshots.create("one", memory=True)
    [one] = sleepy.snapshots.kept
    assert one.memory_bytes > 0
    assert one.settled
    assert goes_on(sleepy)
    steps = list(dict.fromkeys(work.step for work in sleepy.told if work is not None))
    assert steps == list(SnapshotStep)
    assert sleepy.told[-1] is None


def test_back_with_memory_and_without(sleepy: Bench) -> None:
    backend = backend_of(sleepy)
    sleepy.snapshots.create("one", memory=True)
    sleepy.machine.stop()
    sleepy.start()
    assert backend.memory == 2
    sleepy.snapshots.restore("one")
    assert (backend.memory, backend.boots) == (1, 2)
    sleepy.snapshots.restore("one", cold=True)
    assert (backend.memory, backend.boots) == (3, 3)


def test_paused_it_is_kept_with_its_memory_and_runs_afterwards(sleepy: Bench) -> None:
    assert sleepy.machine.pause()
    sleepy.snapshots.create("one", memory=True)
    assert sleepy.snapshots.kept[0].memory_bytes > 0
    assert goes_on(sleepy)


@pytest.mark.parametrize("asked", [True, False])
def test_suspended_it_is_kept_with_its_memory_and_stays_so(sleepy: Bench, asked: bool) -> None:
    sleepy.machine.suspend()
    sleepy.snapshots.create("one", memory=asked)
    assert sleepy.snapshots.kept[0].memory_bytes > 0
    assert sleepy.machine.status.resumable
    assert not sleepy.machine.directory.auto_suspended.exists()


def test_powered_off_there_is_nothing_in_memory(sleepy: Bench) -> None:
    sleepy.machine.stop()
    with pytest.raises(SnapshotRefused, match="no memory to save"):
        sleepy.snapshots.create("one", memory=True)
    assert sleepy.snapshots.kept == ()
    sleepy.snapshots.create("one")


def test_where_it_cannot_be_suspended_it_is_refused_before_anything_is_done(bench: Bench) -> None:
    refusal = bench.snapshots.no_memory()
    assert refusal is not None
    assert "cannot be suspended" in refusal.summary
    with pytest.raises(SnapshotRefused, match="cannot be suspended"):
        bench.snapshots.create("one", memory=True)
    assert bench.told == []


@pytest.mark.parametrize("way", ["starting", "stopping"])
def test_with_its_memory_it_waits_for_no_start_and_no_stop(sleepy: Bench, way: str) -> None:
    """A cancel is the start's then, and what its user stops nobody brings back by using it."""
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
        assert sleepy.told == []
    finally:
        may_end.set()
        other.join()


def test_one_that_stands_still_for_want_of_room_is_not_suspended(sleepy: Bench) -> None:
    sleepy.stalled = (DiskFull(Message("", "There is no room.", "Make some.")).to_problem(),)
    with pytest.raises(DiskFull):
        sleepy.snapshots.create("one", memory=True)
    assert goes_on(sleepy)


def test_a_name_that_is_taken_suspends_nothing(sleepy: Bench) -> None:
    sleepy.snapshots.create("one")
    backend_of(sleepy).at_suspend = lambda: pytest.fail("it was suspended")
    with pytest.raises(SnapshotRefused, match="already"):
        sleepy.snapshots.create("One", memory=True)


@pytest.mark.parametrize("owner", [on_disk, sparse])
def test_it_goes_on_when_the_copy_fails(
    sleepy: Bench, monkeypatch: pytest.MonkeyPatch, owner: Any
) -> None:
    def fail(*_: object) -> None:
        raise DiskFull(Message("", "There is no room."))

    monkeypatch.setattr(owner, "create" if owner is on_disk else "duplicate", fail)
    with pytest.raises(DiskFull):
        sleepy.snapshots.create("one", memory=True)
    assert goes_on(sleepy)
    assert sleepy.snapshots.kept == ()
    assert sleepy.snapshots.work is None


def test_it_goes_on_when_it_cannot_be_put_on_the_disk(sleepy: Bench) -> None:
    def fail() -> None:
        raise BackendFailed(Message("", "It cannot."))

    backend_of(sleepy).at_suspend = fail
    with pytest.raises(BackendFailed):
        sleepy.snapshots.create("one", memory=True)
    assert goes_on(sleepy)
    assert sleepy.snapshots.kept == ()


def test_it_goes_on_when_it_is_cancelled(sleepy: Bench) -> None:
    """While it is put on the disk, which is done to its end."""
    backend_of(sleepy).at_suspend = sleepy.snapshots.cancel
    with pytest.raises(Cancelled):
        sleepy.snapshots.create("one", memory=True)
    assert goes_on(sleepy)
    assert sleepy.snapshots.kept == ()
    backend_of(sleepy).at_suspend = lambda: None
    sleepy.snapshots.create("one", memory=True)


def test_who_comes_meanwhile_waits_and_has_it_as_it_was(
    sleepy: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as if it were put away, which is also what it is for the next supervisor, should this
    one die; but nobody starts it from cold with the settings of now."""
    sleepy.spec = msgspec.structs.replace(SPEC, cpus=2)
    real, came = sparse.duplicate, threading.Thread(target=sleepy.saver.awake)
    seen: list[SaverState] = []

    def slowly(*arguments: Any) -> None:
        seen.append(sleepy.saver.state)
        came.start()
        real(*arguments)

    monkeypatch.setattr(sparse, "duplicate", slowly)
    sleepy.snapshots.create("one", memory=True)
    came.join()
    assert seen == [SaverState.SUSPENDED]
    assert goes_on(sleepy)
