"""The lifecycle on every backend: the fake, and QEMU with the real image (mark `vm`)."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path

import msgspec
import pytest

from tests.bare_backend import BareBackend
from tests.capability import have
from tests.contract.conftest import PATIENCE, Bench, lay_out
from vm.backend import Force
from vm.backends import BACKENDS
from vm.backends.qemu.state import boot_checkpoint
from vm.errors import Cancelled, NoMachine
from vm.lifecycle.exit_watch import ExitWatch
from vm.types import BootStep, Forward, MachineState


@pytest.mark.usefixtures("new")
def test_a_start_ends_with_a_guest_that_runs_commands(bench: Bench) -> None:
    machine = bench.open()
    assert bench.state() is MachineState.ABSENT
    bench.start()
    assert bench.state() is MachineState.RUNNING
    assert machine.status.problem is None
    assert machine.status.boot
    assert all(step.seconds is not None for step in machine.status.boot)
    for done, begun in pairwise(_boots(bench)):
        assert done[-1].seconds is not None or len(begun) <= len(done), (
            "each step's end is reported"
        )
    assert machine.guest.run(("echo", "hello")).stdout.strip().endswith(b"hello")


def _boots(bench: Bench) -> list[tuple[BootStep, ...]]:
    """The reported steps, each change once."""
    boots = [status.boot for status in bench.seen if status.boot]
    return [boot for boot, _ in groupby(boots)]


@pytest.mark.usefixtures("new")
def test_a_second_start_changes_nothing(bench: Bench) -> None:
    bench.open()
    starts = [threading.Thread(target=bench.start) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    pid = bench.pid()
    bench.start()
    assert bench.pid() == pid
    assert bench.state() is MachineState.RUNNING


def test_a_stop_leaves_no_process(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    bench.stop()
    assert bench.state() is MachineState.STOPPED
    assert bench.pid() is None
    with pytest.raises(NoMachine):
        _ = machine.guest
    machine.stop()  # a second stop does nothing and is no error


def test_the_host_key_survives_a_restart(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    pin = machine.directory.known_host.read_bytes()
    before = bench.pid()
    machine.restart(bench.prepare)
    assert bench.pid() not in (None, before)
    assert machine.directory.known_host.read_bytes() == pin


@pytest.mark.needs("grows_disk")
def test_a_running_machine_gets_a_larger_disk(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    wanted, pid = machine.status.disk_bytes + (1 << 30), bench.pid()
    for _ in range(2):
        machine.grow(wanted)
        assert machine.status.disk_bytes == wanted
        assert machine.status.state is MachineState.RUNNING
    machine.grow(wanted - 1)
    assert machine.status.disk_bytes == wanted
    assert bench.pid() == pid


def test_the_next_supervisor_adopts_a_running_machine(bench: Bench) -> None:
    bench.open()
    bench.start()
    pid = bench.pid()
    bench.machine.close()
    assert bench.pid() == pid
    machine = bench.open()
    bench.wait_for(lambda: bench.state() is MachineState.RUNNING)
    assert bench.pid() == pid
    assert machine.guest.run(("true",)).ok


@pytest.mark.usefixtures("new")
def test_the_next_supervisor_adopts_a_booting_machine(bench: Bench) -> None:
    bench.open()
    start = threading.Thread(target=bench.start_expecting, args=(Cancelled,))
    start.start()
    bench.wait_for(lambda: bench.pid() is not None)
    pid = bench.pid()
    bench.machine.close()
    start.join()
    bench.open()
    bench.wait_for(lambda: bench.state() is MachineState.RUNNING)
    assert bench.pid() == pid


@pytest.mark.needs("pauses")
def test_a_pause_halts_the_guest_and_a_wake_lets_it_run_on(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    guest, pid = machine.guest, bench.pid()
    for _ in range(2):
        assert machine.pause()
        assert bench.state() is MachineState.PAUSED
        assert bench.backend.observe(bench.directory).state is MachineState.PAUSED
    pool = ThreadPoolExecutor(1)
    answer = pool.submit(guest.run, ("true",))
    assert not wait([answer], 0.3).done, "no command runs in a paused guest"
    for _ in range(2):
        machine.wake()
        assert bench.state() is MachineState.RUNNING
        assert bench.backend.observe(bench.directory).state is MachineState.RUNNING
    assert answer.result(PATIENCE).ok
    pool.shutdown()
    assert machine.guest is guest
    assert bench.pid() == pid


@pytest.mark.needs("pauses")
def test_a_pause_that_is_not_permitted_is_undone(bench: Bench) -> None:
    machine = bench.open()
    assert not machine.pause(), "no machine runs"
    bench.start()
    seen: list[MachineState] = []

    def may() -> bool:
        seen.append(bench.state())
        return False

    assert not machine.pause(may)
    assert seen == [MachineState.PAUSED], (
        "a client that arrives now sees that it must wake the machine"
    )
    assert bench.state() is MachineState.RUNNING
    assert machine.guest.run(("true",)).ok


@pytest.mark.needs("pauses")
@pytest.mark.parametrize("verb", ["start", "restart", "stop", "delete"])
def test_a_paused_machine_starts_restarts_stops_and_is_deleted(bench: Bench, verb: str) -> None:
    machine = bench.open()
    bench.start()
    machine.pause()
    pid = bench.pid()
    match verb:
        case "start":
            bench.start()
            assert bench.pid() == pid
        case "restart":
            machine.restart(bench.prepare)
            assert bench.pid() not in (None, pid)
        case "stop":
            bench.stop()
            assert bench.pid() is None
        case "delete":
            machine.delete()
            assert bench.state() is MachineState.ABSENT
    if verb in ("start", "restart"):
        assert bench.state() is MachineState.RUNNING
        assert machine.guest.run(("true",)).ok


@pytest.mark.needs("pauses")
@pytest.mark.parametrize("verb", ["start", "wake", "stop"])
def test_the_next_supervisor_leaves_a_paused_machine_paused(bench: Bench, verb: str) -> None:
    bench.open()
    bench.start()
    bench.machine.pause()
    pid = bench.pid()
    bench.machine.close()
    machine = bench.open()
    assert bench.state() is MachineState.PAUSED
    assert bench.pid() == pid
    assert bench.backend.observe(bench.directory).state is MachineState.PAUSED
    if verb == "stop":
        bench.stop()
        assert bench.pid() is None
        return
    machine.wake() if verb == "wake" else bench.start()
    assert bench.state() is MachineState.RUNNING
    assert bench.pid() == pid
    assert machine.guest.run(("true",)).ok


@pytest.mark.needs("pauses")
@pytest.mark.parametrize("is_adopted", [False, True])
def test_the_exit_of_a_paused_machine_is_detected(bench: Bench, is_adopted: bool) -> None:
    bench.open()
    bench.start()
    bench.machine.pause()
    if is_adopted:
        bench.machine.close()
        bench.open()
    bench.backend.stop(bench.directory, Force.KILL)
    bench.wait_for(lambda: bench.state() is MachineState.STOPPED)
    assert bench.machine.status.problem is not None
    assert "unexpectedly" in bench.machine.status.problem.summary
    bench.start()


def test_an_unexpected_exit_is_detected(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    bench.backend.stop(bench.directory, Force.KILL)
    bench.wait_for(lambda: bench.state() is MachineState.STOPPED)
    assert machine.status.problem is not None
    assert "unexpectedly" in machine.status.problem.summary
    bench.start()
    assert machine.status.problem is None


def test_a_start_works_before_an_exit_is_detected(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bench.open()
    monkeypatch.setattr(ExitWatch, "begin", lambda watch, pid: None)
    bench.start()
    bench.backend.stop(bench.directory, Force.KILL)
    assert bench.backend.wait_stopped(bench.directory, 10)
    assert bench.state() is MachineState.RUNNING
    bench.start()
    assert bench.pid() is not None
    assert machine.status.problem is None


@pytest.mark.usefixtures("new")
def test_a_start_can_be_cancelled(bench: Bench) -> None:
    machine = bench.open()
    start = threading.Thread(target=bench.start_expecting, args=(Cancelled,))
    start.start()
    bench.wait_for(lambda: bench.pid() is not None)
    machine.cancel()
    start.join()
    assert bench.state() is MachineState.STOPPED
    assert bench.pid() is None


def test_delete_removes_what_create_made(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    machine.delete()
    assert bench.state() is MachineState.ABSENT
    assert bench.pid() is None
    left = {file.name for file in bench.directory.root.iterdir()}
    assert left <= {"fake.json", "accelerator.json"}


@pytest.mark.needs("copies_disk")
def test_the_disk_is_copied_while_the_machine_runs_and_while_it_is_stopped(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    copies = have(bench.backend.copies_disk)
    disk, target = bench.directory.data_disk, bench.directory.root / "copy"
    frozen_in = []

    @contextmanager
    def freeze() -> Iterator[None]:
        frozen_in.append(bench.state())
        yield

    def copy() -> None:
        copies.copy(bench.directory, target, freeze, lambda done, total: None)

    machine.run_exclusive(copy)
    assert frozen_in == [MachineState.RUNNING]
    assert bench.state() is MachineState.RUNNING
    assert target.stat().st_size == disk.stat().st_size
    target.unlink()
    copies.drop(bench.directory)
    bench.stop()
    copy()
    assert target.stat().st_size == disk.stat().st_size


def test_files_are_replaced_while_the_machine_is_stopped(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    seen = []
    machine.replace_files(lambda: seen.append(bench.pid()))
    assert seen == [None]
    assert bench.state() is MachineState.STOPPED


@pytest.mark.needs("forwards_ports")
def test_forwarding_and_closing_a_port_are_idempotent(bench: Bench) -> None:
    bench.open()
    bench.start()
    ports, port = have(bench.backend.forwards_ports), Forward("127.0.0.1", bench.free_port(), 80)
    for _ in range(2):
        ports.forward(bench.directory, port)
        assert ports.forwarded(bench.directory) == {port}
    for _ in range(2):
        ports.unforward(bench.directory, port)
        assert ports.forwarded(bench.directory) == frozenset()


def test_another_process_with_the_recorded_pid_is_left_alone(bench: Bench) -> None:
    bench.open()
    bench.start()
    record = json.loads(bench.directory.running.read_bytes())
    bench.stop()
    assert record["identity"]["pid"] == bench.last_pid
    with subprocess.Popen(["sleep", "600"]) as other:
        record["identity"]["pid"] = other.pid
        bench.directory.running.write_text(json.dumps(record))
        assert bench.backend.observe(bench.directory).state is MachineState.STOPPED
        bench.backend.stop(bench.directory, Force.KILL)
        assert bench.backend.wait_stopped(bench.directory, 0.0)
        assert other.poll() is None, "the process still runs"
        other.kill()


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    make_bench: Callable[[str], Bench],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    """QEMU's machine was started before, unless the test uses `new`; a new machine saves no boot
    checkpoint, because that doubles the time of its start."""
    is_used = request.param == "qemu" and "new" not in request.fixturenames
    kept = request.getfixturevalue("kept") if is_used else None
    made = make_bench(request.param)
    if kept is not None:
        lay_out(kept, made)
    else:
        monkeypatch.setattr(boot_checkpoint, "is_useful", lambda *_: False)
    yield made
    made.clean_up()


@pytest.fixture
def new() -> None:
    """Requests a machine that was never started."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test on each backend with the capabilities of its `needs` marks; "bare" has none."""
    if "bench" not in metafunc.fixturenames:
        return
    needed = [mark.args[0] for mark in metafunc.definition.iter_markers("needs")]
    names = [
        name
        for name, made in {**BACKENDS, "bare": BareBackend}.items()
        if None not in [getattr(made(), capability) for capability in needed]
    ]
    marks = {"qemu": [pytest.mark.vm]}
    backends = [pytest.param(name, marks=marks.get(name, ())) for name in sorted(names)]
    metafunc.parametrize("bench", backends, indirect=True)


@pytest.mark.usefixtures("new")
def test_the_spec_is_kept_for_the_next_boot(bench: Bench) -> None:
    bench.open()
    bench.start()
    kept = msgspec.json.decode(bench.directory.spec.read_bytes())
    assert Path(kept["image"]) == Path(bench.spec().image)
