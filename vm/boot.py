"""Booting as a list of named steps: they are the progress text and the failure text.

A step waits for one thing with a deadline; `run_steps` times it, reports it, looks at the cancel
token, turns a passed deadline into BootFailed with the console's last lines, and what this computer
refuses into HostError. May import: `vm.errors`, `vm.types`. Next: `machine.py`, which puts the
steps of a machine in order.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from vm.errors import BootFailed, Cancelled, DiskFull, GalleyError, HostError
from vm.types import BootStep

CONSOLE_PREFIX = "galley: "
LIMIT = 1 << 20  # bytes of a long console log that are read of its beginning, and of its end
GLANCE = 0.02  # seconds between two looks at the console, only while a machine boots


class Patience:
    """How long one step may still wait. Every wait of a boot goes through here."""

    def __init__(self, deadline: float, cancel: threading.Event) -> None:
        self._until = time.monotonic() + deadline
        self._cancel = cancel

    @property
    def left(self) -> float:
        return self._until - time.monotonic()

    def wait(self, seconds: float = GLANCE) -> None:
        """Wait a little. Raises Cancelled, or TimeoutError when the step's time is over."""
        if self._cancel.wait(min(seconds, max(self.left, 0.0))):
            raise Cancelled("The start was cancelled.")
        if self.left <= 0:
            raise TimeoutError


class Step(msgspec.Struct, frozen=True):
    """`check` blocks until the step holds, waiting only through the Patience it is given."""

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


class Console:
    """The guest's console log, read for the lines that its init writes for us.

    `galley: sshd` is seen as `line("sshd")`; see `engine/guest` for the lines there are. The log
    is a file, so a supervisor that comes later reads the same story from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[str]:
        """Galley's own lines so far, without their prefix."""
        text = self._text()
        complete = text[: text.rfind("\n") + 1]
        found = []
        for line in complete.splitlines():
            _, prefix, rest = line.partition(CONSOLE_PREFIX)
            if prefix:
                found.append(rest.strip())
        return found

    def find(self, *starts: str) -> str | None:
        """The first line that begins with one of `starts`."""
        return next((line for line in self.lines() if line.startswith(starts)), None)

    def tail(self, count: int = 25) -> str:
        return "\n".join(self._text().splitlines()[-count:])

    def _text(self) -> str:
        """The beginning has the boot, the end what came last; a guest may write without end between
        them."""
        try:
            with self._path.open("rb") as file:
                text = file.read(LIMIT)
                size = file.seek(0, os.SEEK_END)
                file.seek(max(len(text), size - LIMIT))
                rest = file.read(LIMIT)
        except FileNotFoundError:
            return ""
        gap = b"\n" if size > 2 * LIMIT else b""
        return (text + gap + rest).decode(errors="replace")
