"""Every failure of a start, on the fake: it has a sentence and a hint, and the next start works."""

import errno
from collections.abc import Callable, Iterator

import pytest

from tests.capability import have
from tests.contract.conftest import Bench
from tests.unit.engine.sleepy import Sleep, Sleepy
from vm.backend import Force
from vm.directory import MachineDir
from vm.errors import (
    BootFailed,
    DataDiskDamaged,
    DiskFull,
    GalleyError,
    GuestChanged,
    HostError,
    PortInUse,
)
from vm.lifecycle import shutdown
from vm.types import Forward, MachineState


class FailingSuspend(Sleep):
    """Every write to its disk fails."""

    def suspend(self, directory: MachineDir) -> None:
        raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def bench(make_bench: Callable[[str], Bench]) -> Iterator[Bench]:
    made = make_bench("fake")
    yield made
    made.clean_up()


@pytest.mark.parametrize(
    ("line", "deadline"),
    [("kernel", "linux"), ("disk", "disk"), ("hostkey", "identity"), ("sshd", "connect")],
)
def test_a_stalled_boot_fails_at_its_deadline(bench: Bench, line: str, deadline: str) -> None:
    bench.script(stall=line)
    bench.open(**{deadline: 0.3})
    with pytest.raises(BootFailed) as caught:
        bench.start()
    assert "took longer than" in caught.value.summary
    assert caught.value.hint
    assert bench.state() is MachineState.FAILED
    assert bench.pid() is None
    bench.script()
    bench.machine.close()
    bench.open()
    bench.start()


@pytest.mark.parametrize(
    ("line", "deadline", "tries"),
    [
        ("kernel", "linux", 2),
        ("hostkey", "identity", 2),
        ("sshd", "connect", 2),
        ("disk", "disk", 1),
    ],
)
def test_a_boot_that_hangs_is_tried_twice(
    bench: Bench, caplog: pytest.LogCaptureFixture, line: str, deadline: str, tries: int
) -> None:
    """Except at the disk check, which may take long."""
    bench.script(stall=line)
    bench.open(**{deadline: 0.3})
    with pytest.raises(BootFailed):
        bench.start()
    again = [record.message for record in caplog.records if "boot attempt" in record.message]
    assert len(again) == tries - 1
    assert all("1 failed, trying again" in one and "longer than 0.3 s" in one for one in again)


def test_a_successful_second_try_is_reported_and_the_first_console_is_kept(bench: Bench) -> None:
    """The machine exits once, before the host key."""
    bench.script(die="hostkey")
    machine = bench.open()
    bench.at_change = lambda status: bench.script() if status.notice else None
    bench.start()
    assert bench.state() is MachineState.RUNNING
    assert machine.status.problem is None
    notice = machine.status.notice
    assert notice is not None
    assert "second try: The virtual machine ended while it was booting." in notice.summary
    assert "galley: disk ok" in notice.details
    first = machine.directory.console_log.with_name("console.1.log").read_text()
    assert "galley: disk ok" in first
    assert "hostkey" not in first
    assert "hostkey" in machine.directory.console_log.read_text()
    bench.stop()
    assert machine.status.notice is None


@pytest.mark.parametrize("line", ["kernel", "disk", "hostkey", "sshd"])
def test_a_machine_that_exits_while_booting_is_reported(
    bench: Bench, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.script(die=line)
    bench.open()
    with pytest.raises(GalleyError) as caught:
        bench.start()
    assert "boot attempt 1 failed, trying again" in caplog.text
    assert isinstance(caught.value, BootFailed)
    assert "ended while it was booting" in caught.value.summary


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), HostError, "temporarily"),
        (OSError(errno.EIO, "Input/output error", "/x/console.log"), HostError, "Input/output"),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull, "disk is full"),
    ],
)
def test_an_os_error_fails_the_start_like_any_other_error(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    kind: type[HostError],
    words: str,
) -> None:
    """A process that cannot be created, a console that cannot be copied."""
    machine = bench.open()

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(bench.backend, "start", fail)
        with pytest.raises(kind) as caught:
            bench.start()
    assert caught.value.summary.startswith("Starting fake failed")
    assert words in caught.value.summary
    assert caught.value.hint
    assert bench.state() is MachineState.FAILED
    assert machine.status.problem == caught.value.to_problem()
    bench.start()
    assert bench.state() is MachineState.RUNNING
    assert machine.status.problem is None


def test_after_an_internal_error_the_status_is_the_machines_actual_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the state from before the error."""
    machine = bench.open()
    bench.start()

    with monkeypatch.context() as patch:
        patch.setattr(bench.backend, "suspends", FailingSuspend(Sleepy()))
        with pytest.raises(OSError, match="Input/output"):
            machine.suspend()
    problem = machine.status.problem
    assert problem is not None
    assert bench.state() is MachineState.RUNNING
    bench.start()
    assert machine.status.problem is None
    bench.stop()
    assert bench.state() is MachineState.STOPPED


def test_a_damaged_data_disk_is_kept_and_reported(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    bench.stop()
    bench.script(damaged=True)
    with pytest.raises(DataDiskDamaged) as caught:
        bench.start()
    assert "galley start --repair" in caught.value.hint
    assert machine.directory.data_disk.exists()
    assert bench.state() is MachineState.FAILED
    bench.script()
    bench.start()
    assert bench.state() is MachineState.RUNNING


def test_another_host_key_is_refused(bench: Bench) -> None:
    machine = bench.open()
    bench.start()
    bench.stop()
    machine.directory.known_host.write_text("ssh-ed25519 AAAAsomebodyelse\n")
    with pytest.raises(GuestChanged):
        bench.start()
    assert bench.pid() is None


def test_a_machine_that_ignores_the_power_button_is_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [(None, 0.1), (Force.ASK, 0.1), *shutdown.ESCALATION[2:]]
    monkeypatch.setattr(shutdown, "ESCALATION", quick)
    bench.script(deaf=True)
    bench.open()
    bench.start()
    bench.stop()
    assert bench.pid() is None
    assert bench.state() is MachineState.STOPPED


def test_a_stop_at_once_does_not_press_the_power_button(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script(deaf=True)
    machine = bench.open()
    bench.start()
    calls: list[Force] = []
    really = bench.backend.stop

    def stop(directory: MachineDir, force: Force) -> None:
        calls.append(force)
        really(directory, force)

    monkeypatch.setattr(bench.backend, "stop", stop)
    machine.stop(at_once=True)
    assert calls == [Force.QUIT]
    assert bench.state() is MachineState.STOPPED
    assert bench.pid() is None


def test_a_taken_port_names_its_holder(bench: Bench) -> None:
    bench.script(busy_ports=[18080])
    bench.open()
    bench.start()
    with pytest.raises(PortInUse) as caught:
        have(bench.backend.forwards_ports).forward(bench.directory, Forward("127.0.0.1", 18080, 80))
    assert "18080" in caught.value.summary
