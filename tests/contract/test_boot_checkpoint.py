"""A cold start resumes the boot checkpoint; if that is invalid, the machine boots.

The bench's spec has no shared folders. The e2e tests have them, and every start after the first
resumes a boot checkpoint there.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.capability import have
from tests.contract.conftest import Bench
from tests.contract.moments import Moment
from tests.contract.power import Disk, PowerCut, cut_power_at, power_on, try_it
from tests.contract.test_suspend import cut_short, flip_a_byte, lines, spoil, write_line
from vm.backend import Force
from vm.backends.qemu.state import boot_checkpoint, saved
from vm.errors import Cancelled, DiskFull, NotResumable
from vm.guest.protocol import HANDOVER
from vm.messages import Message
from vm.messages.machine import STEP_LINUX_ONCE
from vm.types import MachineSpec, MachineState

pytestmark = pytest.mark.vm

GIB = 1 << 30
SAVE_STEPS = (
    Moment(saved, "_stop_and_save"),
    Moment(saved, "_write_memory"),
    Moment(saved, "resume_running"),
    Moment(boot_checkpoint, "_commit"),
)
RESUME_STEPS = (Moment(saved, "_read_memory"), Moment(saved, "_load_state"))


def boot_and_save(bench: Bench) -> None:
    """Boots and waits until the boot checkpoint is on the disk."""
    bench.boot()
    bench.wait_for(bench.has_boot_checkpoint)


def inode(bench: Bench) -> int:
    return (bench.directory.boot_checkpoint / boot_checkpoint.MANIFEST).stat().st_ino


def wait_for_another(bench: Bench, old: int) -> None:
    bench.wait_for(lambda: bench.has_boot_checkpoint() and inode(bench) != old)


def random_bytes(bench: Bench) -> str:
    done = bench.machine.guest.run(("sh", "-c", "head -c 16 /dev/urandom | od -An -tx1"))
    assert done.ok, done.tail()
    return done.stdout.decode()


@pytest.mark.usefixtures("used")
def test_every_start_has_its_own_entropy_on_the_same_disk(bench: Bench) -> None:
    machine = bench.open()
    boot_and_save(bench)
    made, drawn, written = inode(bench), {random_bytes(bench)}, []
    for number in range(3):
        write_line(bench, f"line{number}")
        written.append(f"line{number}")
        machine.stop()
        bench.boot()
        assert inode(bench) == made, "it resumed the same checkpoint"
        assert machine.status.notice is None
        assert lines(bench) == written
        drawn.add(random_bytes(bench))
        clock = float(machine.guest.run(("date", "+%s.%N")).stdout.split(b".")[0])
        assert abs(clock - time.time()) < 5
    assert len(drawn) == 4, "two starts drew the same random numbers"
    console = machine.story.console.lines()
    assert "disk ok" in console, "the disk was unmounted in order, and its current content is used"
    assert not [line for line in console if line.startswith(("failed", "disk repaired"))]


@pytest.mark.usefixtures("used")
def test_the_checkpoint_contains_nothing_of_a_single_start(bench: Bench) -> None:
    """Starts with a boot file, then without it, then with a larger disk."""
    machine = bench.open()
    boot_and_save(bench)
    machine.stop()
    bench.directory.boot_files.mkdir(exist_ok=True)
    file = bench.directory.boot_files / "something"
    file.write_text("for this start")
    bench.boot()
    assert machine.guest.read("/run/galley/something") == b"for this start"
    assert "galley.format" not in machine.guest.read("/run/galley/words").decode()
    machine.stop()
    file.unlink()
    bench.boot()
    with pytest.raises(FileNotFoundError):
        machine.guest.read("/run/galley/something")
    before = bench.spec()
    machine.stop()
    larger = msgspec.structs.replace(before, disk_bytes=before.disk_bytes + 4 * GIB)
    machine.start(lambda wait, note: larger)
    bench.wait_for(lambda: machine.story.console.find("sshd") is not None)
    size = machine.guest.run(("df", "-k", "/var/lib/galley-data")).stdout.split()[8]
    assert int(size) * 1024 > before.disk_bytes


def smaller(spec: MachineSpec) -> MachineSpec:
    return msgspec.structs.replace(spec, memory_bytes=spec.memory_bytes // 2)


@pytest.mark.usefixtures("used")
def test_an_invalid_checkpoint_is_made_again(bench: Bench) -> None:
    bench.open()
    boot_and_save(bench)
    write_line(bench, "kept")
    folder = bench.directory.boot_checkpoint
    faults: list[Callable[[], object]] = [
        lambda: flip_a_byte(folder / "ram"),
        lambda: cut_short(folder / "state"),
        lambda: (folder / "console.log").unlink(),
        lambda: spoil(folder / boot_checkpoint.MANIFEST),
    ]
    for make_fault in faults:
        power_off(bench)
        old = inode(bench)
        make_fault()
        bench.start()
        wait_for_another(bench, old)
        assert bench.machine.status.notice is None, "the user needs no notice"
    power_off(bench)
    old = inode(bench)
    bench.machine.start(lambda wait, note: smaller(bench.spec()))
    wait_for_another(bench, old)
    bench.wait_for(lambda: bench.machine.story.console.find("sshd") is not None)
    assert lines(bench) == ["kept"]


@pytest.mark.usefixtures("used")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_power_cut_at_any_step_only_makes_the_next_start_slower(
    powered: Bench, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of saving runs in a separate thread."""
    powered.open()
    powered.boot()
    write_line(powered, "kept")
    for step in (*SAVE_STEPS, *RESUME_STEPS):
        power_off(powered)
        if step in SAVE_STEPS:
            boot_checkpoint.forget(powered.directory)
        else:
            powered.wait_for(powered.has_boot_checkpoint)
        with monkeypatch.context() as patch:
            reached = cut_power_at(powered, disk, step, patch)
            try_it(powered.start)
            powered.wait_for(reached)
        power_on(powered, disk)
        powered.start()
        assert powered.machine.status.problem is None, step
    powered.wait_for(lambda: powered.machine.story.console.find("sshd") is not None)
    assert lines(powered) == ["kept"]


def power_off(bench: Bench) -> None:
    bench.machine.close()
    if bench.pid() is not None:
        bench.backend.stop(bench.directory, Force.KILL)
        assert bench.backend.wait_stopped(bench.directory, 10)
    bench.open()


def test_the_next_supervisor_sends_the_boot_files_to_a_machine_that_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One supervisor was killed before it sent them, and the next while it sent them."""
    machine = bench.open()

    def die(*_: Any, **__: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(saved, "write", die)
        try_it(bench.start)
    machine.close()
    pid = bench.pid()
    assert pid is not None
    message = have(bench.backend.boot_checkpoints).boot_files(bench.directory)
    address = bench.backend.observe(bench.directory).address
    assert message is not None
    assert address is not None
    for part in (b"nonsense" * 100, message[: len(message) // 2]):
        guest = bench.backend.guest(bench.directory, address)
        stream = guest.dial(HANDOVER)
        stream.sendall(part)
        stream.close()
        guest.close()
    assert have(bench.backend.boot_checkpoints).boot_files(bench.directory) is not None
    machine = bench.open()
    bench.wait_for(lambda: machine.status.state is MachineState.RUNNING)
    bench.wait_for(lambda: machine.story.console.find("sshd") is not None)
    assert bench.pid() == pid
    assert have(bench.backend.boot_checkpoints).boot_files(bench.directory) is None
    write_line(bench, "here")


def test_if_no_checkpoint_can_be_saved_or_resumed_the_machine_boots(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bench.open()

    def full(*_: object) -> None:
        raise DiskFull(Message("", "The disk is full."))

    with monkeypatch.context() as patch:
        patch.setattr(saved, "_need_space", full)
        bench.boot()
    assert machine.status.problem is None
    assert not bench.directory.boot_checkpoint.exists()
    assert not list(bench.directory.root.glob("template.*"))
    machine.stop()
    boot_and_save(bench)
    machine.stop()

    def fail(*_: object) -> None:
        raise NotResumable(Message("", "This QEMU cannot go on."))

    with monkeypatch.context() as patch:
        patch.setattr(saved, "_load_state", fail)
        old = inode(bench)
        bench.boot()
        assert machine.status.problem is None
        wait_for_another(bench, old)
        assert have(bench.backend.explains).why_slow(bench.directory) is None, (
            "a single failure is not reported"
        )
        machine.stop()
        bench.boot()
        assert machine.status.problem is None
        assert (
            sum(path.stat().st_blocks for path in bench.directory.boot_checkpoint.iterdir()) < 100
        )
        machine.stop()
        bench.boot()
    assert machine.story.console.find("template") is None, (
        "after two failures no checkpoint is resumed"
    )
    problem = have(bench.backend.explains).why_slow(bench.directory)
    assert problem is not None
    assert "This QEMU cannot go on." in problem.details


@pytest.mark.usefixtures("used")
def test_a_second_try_boots_without_a_checkpoint(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest hangs as soon as it is resumed: it does not answer."""
    machine = bench.open()
    boot_and_save(bench)
    machine.stop()
    machine.close()
    machine = bench.open(linux=6)
    with monkeypatch.context() as patch:
        patch.setattr(have(bench.backend.boot_checkpoints), "boot_files", lambda directory: None)
        patch.setattr(
            machine.story,
            "wait_for_line",
            _only_after("handed over", machine.story.wait_for_line, bench),
        )
        bench.boot()
    assert machine.status.notice is not None
    assert "second try" in machine.status.notice.summary
    assert machine.story.console.find("template") is None


def _only_after(word: str, see: Callable[..., str], bench: Bench) -> Callable[..., str]:
    """As if the console line "kernel" came only in a boot without a checkpoint."""

    def wrapped(wait: Any, *starts: str) -> str:
        console = bench.machine.story.console
        while starts == ("kernel",) and console.find("template") is not None:
            wait.wait()
        return see(wait, *starts)

    return wrapped


def test_a_boot_for_a_checkpoint_can_be_cancelled(bench: Bench) -> None:
    machine = bench.open()
    raised: list[BaseException] = []

    def start() -> None:
        try:
            bench.start()
        except Cancelled as error:
            raised.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    bench.wait_for(
        lambda: bool(machine.status.boot) and machine.status.boot[-1].code == STEP_LINUX_ONCE.code
    )
    machine.cancel()
    starting.join(20)
    assert raised
    assert bench.state() is MachineState.STOPPED
    assert bench.pid() is None
    assert not list(Path(bench.directory.root).glob("template*"))
