"""The steps of a boot: their reports, and the error for each failure."""

import errno
import threading
import time

import pytest

from vm.errors import BootFailed, Cancelled, DiskFull, HostError
from vm.lifecycle import steps
from vm.lifecycle.steps import Patience, Step, StepFailed, run_steps
from vm.messages import Message, Text
from vm.types import BootStep

type Report = tuple[BootStep, ...]


class Boot:
    """Runs steps, and keeps what was reported."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.reports: list[Report] = []

    def run(self, *to_run: Step, done: Report = ()) -> Report:
        return run_steps(list(to_run), self.cancel, self.reports.append, lambda: "console", done)

    def failure(self, step: Step) -> StepFailed:
        with pytest.raises(StepFailed) as failed:
            self.run(step)
        assert failed.value.step is step
        assert str(failed.value) == failed.value.error.summary
        return failed.value


@pytest.fixture
def boot() -> Boot:
    return Boot()


def nothing(patience: Patience) -> None: ...


def raising(error: Exception) -> Step:
    def fail(patience: Patience) -> None:
        raise error

    return Step(Text("Booting Linux"), fail, 10, Text("A hint."))


def test_each_step_is_reported_when_it_begins_and_when_it_has_ended(boot: Boot) -> None:
    earlier = BootStep("Earlier", 1.0)
    done = boot.run(Step(Text("One"), nothing, 10), Step(Text("Two"), nothing, 10), done=(earlier,))
    assert [[step.step for step in report] for report in boot.reports] == [
        ["Earlier", "One"],
        ["Earlier", "One"],
        ["Earlier", "One", "Two"],
        ["Earlier", "One", "Two"],
    ]
    ended = [[step.seconds is not None for step in report] for report in boot.reports]
    assert ended == [[True, False], [True, True], [True, True, False], [True, True, True]]
    assert done == boot.reports[-1]
    assert done[0] == earlier


def test_a_step_reports_its_duration(boot: Boot) -> None:
    def wait(patience: Patience) -> None:
        patience.wait(0.1)

    (step,) = boot.run(Step(Text("One"), wait, 10))
    assert step.seconds is not None
    assert 0.1 <= step.seconds < 5
    assert step.seconds == round(step.seconds, 3)


def test_a_step_waits_no_longer_than_its_deadline(boot: Boot) -> None:
    def stall(patience: Patience) -> None:
        while True:
            patience.wait()

    began = time.monotonic()
    error = boot.failure(Step(Text("Booting Linux"), stall, 0.2, Text("A hint."))).error
    assert 0.2 <= time.monotonic() - began < 5
    assert isinstance(error, BootFailed)
    assert error.summary == "Booting Linux took longer than 0.2 s."
    assert (error.hint, error.details) == ("A hint.", "console")


def test_a_single_wait_ends_at_the_deadline_too(boot: Boot) -> None:
    began = time.monotonic()
    boot.failure(Step(Text("One"), lambda patience: patience.wait(60), 0.0))
    assert time.monotonic() - began < 0.9


def test_a_step_within_its_deadline_succeeds(boot: Boot) -> None:
    boot.run(Step(Text("One"), lambda patience: patience.wait(0.01), 0.9))
    assert Step(Text("One"), nothing, 1).hint is None


def test_the_remaining_time_decreases() -> None:
    patience = Patience(10, threading.Event())
    first = patience.left
    assert 9 < first <= 10
    began = time.monotonic()
    patience.wait()
    assert steps.POLL <= time.monotonic() - began < 0.9
    assert patience.left <= first - steps.POLL


def test_a_cancelled_start_ends_within_a_wait(boot: Boot) -> None:
    def stall(patience: Patience) -> None:
        boot.cancel.set()
        patience.wait(60)

    with pytest.raises(Cancelled):
        boot.run(Step(Text("One"), stall, 60), Step(Text("Two"), nothing, 10))
    assert [len(report) for report in boot.reports] == [1]


def test_no_step_begins_after_a_cancel(boot: Boot) -> None:
    begun = []

    def begin(patience: Patience) -> None:
        begun.append("One")
        boot.cancel.set()

    with pytest.raises(Cancelled):
        boot.run(
            Step(Text("One"), begin, 10),
            Step(Text("Two"), lambda patience: begun.append("Two"), 10),
        )
    assert begun == ["One"]


def test_a_galley_error_of_a_step_is_passed_on(boot: Boot) -> None:
    error = BootFailed(Message("", "The disk is damaged."))
    assert boot.failure(raising(error)).error is error


def test_an_os_error_is_reported_as_a_host_error(boot: Boot) -> None:
    error = boot.failure(raising(PermissionError(errno.EACCES, "Permission denied", "/x"))).error
    assert type(error) is HostError
    assert error.summary == "Booting Linux failed on this computer: Permission denied."
    assert error.hint == "Try again; the details say what was refused."
    assert error.details == "[Errno 13] Permission denied: '/x'"
    bare = boot.failure(raising(OSError("without a number"))).error
    assert bare.summary == "Booting Linux failed on this computer: without a number."


def test_a_full_host_disk_is_reported(boot: Boot) -> None:
    error = boot.failure(raising(OSError(errno.ENOSPC, "No space left on device"))).error
    assert isinstance(error, DiskFull)
    assert error.summary == "Booting Linux failed: this computer's disk is full."
    assert error.hint == "Free some space on it, then try again."
    assert error.details == "[Errno 28] No space left on device"


def test_an_unexpected_error_is_not_hidden(boot: Boot) -> None:
    with pytest.raises(ZeroDivisionError):
        boot.run(raising(ZeroDivisionError()))
