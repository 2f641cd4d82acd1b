"""Takes a machine to RUNNING: cold, resumed from a suspend, or adopted while it runs.

Each way is a list of steps from `boot_steps.py`, followed by the owner's. Next: `steps.py`.
"""

import contextlib
import logging
import time
from collections.abc import Callable

from vm import last_spec
from vm.backend import Force
from vm.capabilities import Suspends
from vm.errors import Cancelled, GalleyError
from vm.guest.agent import GuestAgent
from vm.lifecycle import shutdown
from vm.lifecycle.boot_steps import (
    BootPlan,
    Deadlines,
    Prepare,
    is_outdated,
    outdated_notice,
    second_attempt_notice,
)
from vm.lifecycle.handle import MachineHandle
from vm.lifecycle.steps import Step, StepFailed, run_steps
from vm.types import BootStep, MachineState, Observation

log = logging.getLogger(__name__)

# In tests, one boot in fifty hung before Linux was up, and QEMU 10.0.13 ended one, under TCG, with
# "iotlb_to_section: Assertion". The second attempt works.
BOOT_ATTEMPTS = 2


class BringUp:
    """`after_boot`, once it is set, makes the owner's steps. Every method raises GalleyError, and
    runs in the machine's worker thread."""

    def __init__(self, handle: MachineHandle, deadlines: Deadlines) -> None:
        self._handle = handle
        self._status = handle.status
        self.after_boot: Callable[[], list[Step]] = list
        self._deadlines = deadlines

    def start(self, prepare: Prepare, *, repair: bool) -> None:
        """From STOPPED, ABSENT or FAILED. Resumes a suspended machine where possible, else
        boots."""
        self._status.move(
            MachineState.STARTING,
            problem=None,
            notice=None,
            boot=(),
            started_at=None,
            resumable=False,
        )
        plan = self._plan(prepare, repair)
        suspends = self._handle.saved_by()
        if suspends is not None and not repair and self._resume(plan, suspends):
            return
        for attempt in range(1, BOOT_ATTEMPTS + 1):
            try:
                self._boot(plan)
                return
            except StepFailed as failure:
                if not plan.may_retry(failure) or attempt == BOOT_ATTEMPTS:
                    raise failure.error from failure
                log.warning("boot attempt %d failed, trying again: %s", attempt, failure)
                notice = second_attempt_notice(failure.error)
                self._status.move(MachineState.STARTING, problem=None, notice=notice)

    def adopt(self, seen: Observation) -> None:
        """Connect to a machine that runs already: the same steps succeed at once. A failure does
        not end the machine."""
        log.info("adopting the running machine, pid %s", seen.pid)
        plan = self._plan(None, False)
        self._handle.see(seen, state=MachineState.STARTING, problem=None)
        try:
            done = self._run(plan.in_guest(self._handle.hold), ())
        except StepFailed as failure:
            self._status.move(MachineState.FAILED, problem=failure.error.to_problem())
            raise failure.error from failure
        with contextlib.suppress(GalleyError):  # the previous supervisor may have frozen its disk
            GuestAgent(self._handle.running_guest.dial).thaw_and_set_time()
        if is_outdated(self._handle.running_guest):
            self._status.set(notice=outdated_notice())
        self._booted(done)

    def serve(self, done: tuple[BootStep, ...]) -> None:
        """Run the owner's steps, after those that are `done`. If one fails, the machine stays up
        and the problem is published."""
        try:
            done = self._run(self.after_boot(), done)
        except Cancelled:
            self._end_cancelled()
            raise
        except StepFailed as failure:
            self._status.set(state=MachineState.RUNNING, problem=failure.error.to_problem())
            raise failure.error from failure
        self._status.set(
            state=MachineState.RUNNING, boot=done, problem=None, started_at=time.time()
        )

    def _plan(self, prepare: Prepare | None, repair: bool) -> BootPlan:
        handle = self._handle
        return BootPlan(
            handle.directory, handle.backend, handle.story, self._deadlines, prepare, repair
        )

    def _resume(self, plan: BootPlan, suspends: Suspends) -> bool:
        """Resume. False if that failed: a cold start follows, with the reason as notice."""
        try:
            done = self._run(plan.warm(suspends, self._status.note, self._handle.hold), ())
        except Cancelled:
            if not self._handle.is_closing:
                shutdown.stop(self._handle)
            raise
        except StepFailed as failure:
            log.warning(
                "a cold start instead of a resume: %s %s",
                failure.error.summary,
                failure.error.details,
            )
            shutdown.escalate(self._handle, Force.KILL)
            self._status.set(notice=failure.error.to_problem())
            return False
        self._booted(done)
        return True

    def _boot(self, plan: BootPlan) -> None:
        """A cold start. A failure ends the machine and raises StepFailed."""
        steps = [*plan.cold(self._status.note), *plan.in_guest(self._handle.hold)]
        try:
            done = self._run(steps, ())
        except Cancelled:
            self._end_cancelled()
            raise
        except StepFailed as failure:
            shutdown.escalate(self._handle, Force.QUIT)
            self._status.move(MachineState.FAILED, problem=failure.error.to_problem())
            raise
        self._booted(done)

    def _booted(self, done: tuple[BootStep, ...]) -> None:
        """The guest answers: watch for the machine's exit, then go through the owner's steps."""
        seen = self._handle.observe()
        if seen.spec is not None:
            last_spec.keep(self._handle.directory, seen.spec)
        self._handle.exit_watch.begin(seen.pid)
        self._handle.see(seen, state=MachineState.STARTING)
        self.serve(done)

    def _run(self, steps: list[Step], done: tuple[BootStep, ...]) -> tuple[BootStep, ...]:
        handle = self._handle

        def report(boot: tuple[BootStep, ...]) -> None:
            self._status.set(boot=boot)

        return run_steps(steps, handle.cancel, report, handle.story.console.tail, done)

    def _end_cancelled(self) -> None:
        if not self._handle.is_closing:
            shutdown.escalate(self._handle, Force.QUIT)
            self._status.move(MachineState.STOPPED, boot=())
