"""Runs a boot as a list of named steps; the names are in the progress and in failures.

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
        """Wait a little. Raises Cancelled, or TimeoutError when the step's time is over."""
        if self._cancel.wait(min(seconds, max(self.left, 0.0))):
            raise Cancelled("The start was cancelled.")
        if self.left <= 0:
            raise TimeoutError


class Step(msgspec.Struct, frozen=True):
    """`check` blocks until the step has succeeded, and waits through its Patience only."""

    name: str
    check: Callable[[Patience], None]
    deadline: float  # seconds
    hint: str = ""


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
        report((*done, BootStep(step.name)))
        began = time.monotonic()
        patience = Patience(step.deadline, cancel)
        try:
            if cancel.is_set():
                raise Cancelled("The start was cancelled.")
            step.check(patience)
        except TimeoutError as error:
            raise StepFailed(step, _late(step, console_tail())) from error
        except Cancelled:
            raise
        except GalleyError as error:
            raise StepFailed(step, error) from error
        except OSError as error:
            raise StepFailed(step, _refused(step, error)) from error
        done = (*done, BootStep(step.name, round(time.monotonic() - began, 3)))
        report(done)
    return done


def _late(step: Step, tail: str) -> BootFailed:
    return BootFailed(
        f"{step.name} took longer than {step.deadline:g} seconds.", step.hint, details=tail
    )


def _refused(step: Step, error: OSError) -> HostError:
    """A process that cannot be made, a file that cannot be read or written."""
    if error.errno == errno.ENOSPC:
        return DiskFull(
            f"{step.name} failed: this computer's disk is full.",
            "Free some space on it, then try again.",
            details=str(error),
        )
    return HostError(
        f"{step.name} failed on this computer: {error.strerror or error}.",
        "Try again; the details say what was refused.",
        details=str(error),
    )
