"""Runs a boot as a list of named steps; progress and failures show the names.

A step waits for one thing with a deadline. `run_steps` times and reports it, checks the cancel
token, turns a missed deadline into BootFailed with the console's last lines, and an OSError into
HostError. Next: `machine.py`, which puts the steps of a machine in order.
"""

import errno
import threading
import time
from collections.abc import Callable

import msgspec

from vm.errors import BootFailed, Cancelled, DiskFull, GalleyError, HostError
from vm.messages import Text
from vm.messages.machine import START_CANCELLED, STEP_DISK_FULL, STEP_LATE, STEP_REFUSED
from vm.types import BootStep

POLL = 0.02  # seconds between two reads of the console, only while a machine boots


class Patience:
    """The deadline of one step. Every wait of a boot goes through here."""

    def __init__(self, deadline: float, cancel: threading.Event) -> None:
        self._until = time.monotonic() + deadline
        self._cancel = cancel

    @property
    def left(self) -> float:
        return self._until - time.monotonic()

    def wait(self, seconds: float = POLL) -> None:
        """Wait a little. Raises Cancelled, or TimeoutError at the step's deadline."""
        if self._cancel.wait(min(seconds, max(self.left, 0.0))):
            raise Cancelled(START_CANCELLED)
        if self.left <= 0:
            raise TimeoutError


class Step(msgspec.Struct, frozen=True):
    """`check` blocks until the step has succeeded, and waits through its Patience only."""

    name: Text
    check: Callable[[Patience], None]
    deadline: float  # seconds
    hint: Text | None = None


class StepFailed(Exception):
    """Which step failed, and the user's error for it."""

    def __init__(self, step: Step, error: GalleyError) -> None:
        super().__init__(error.summary)
        self.step = step
        self.error = error


def run_steps(
    steps: list[Step],
    cancel: threading.Event,
    report: Callable[[tuple[BootStep, ...]], None],
    console_tail: Callable[[], str],
    done: tuple[BootStep, ...] = (),
) -> tuple[BootStep, ...]:
    """Run the steps in order, reporting every change. Raises Cancelled, StepFailed."""
    for step in steps:
        report((*done, boot_step(step.name)))
        began = time.monotonic()
        patience = Patience(step.deadline, cancel)
        try:
            if cancel.is_set():
                raise Cancelled(START_CANCELLED)
            step.check(patience)
        except TimeoutError as error:
            raise StepFailed(step, _late(step, console_tail())) from error
        except Cancelled:
            raise
        except GalleyError as error:
            raise StepFailed(step, error) from error
        except OSError as error:
            raise StepFailed(step, _refused(step, error)) from error
        took = round(time.monotonic() - began, 3)
        done = (*done, boot_step(step.name, took))
        report(done)
    return done


def boot_step(name: Text, seconds: float | None = None) -> BootStep:
    return BootStep(name.english, seconds, name.code, name.values)


def _late(step: Step, tail: str) -> BootFailed:
    return BootFailed(
        STEP_LATE, step=step.name, seconds=step.deadline, hint=step.hint or "", details=tail
    )


def _refused(step: Step, error: OSError) -> HostError:
    """A process that cannot be started, a file that cannot be read or written."""
    if error.errno == errno.ENOSPC:
        return DiskFull(
            STEP_DISK_FULL,
            step=step.name,
            details=str(error),
        )
    return HostError(
        STEP_REFUSED,
        step=step.name,
        reason=error.strerror or error,
        details=str(error),
    )
