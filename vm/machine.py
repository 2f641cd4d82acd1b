"""The one lifecycle for all backends: start, stop, restart, delete, adopt, notice a death.

One worker thread moves the machine, from one queue; callers wait for their turn. State is seeded
by `Backend.observe`, so a VM that outlived its supervisor is adopted: the boot steps run again over
the same console log, and those that have passed pass at once. May import: everything in `vm` but
backends. Next: `boot.py` (the step runner), `backend.py` (what is asked of a backend).
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from vm.backend import Backend, Force
from vm.boot import Step, StepFailed, run_steps
from vm.boot_steps import BootPlan, BootStory, Deadlines, Prepare
from vm.directory import MachineDir
from vm.errors import (
    BootDied,
    BootFailed,
    Cancelled,
    GalleyError,
    GuestUnreachable,
    NoMachine,
    Problem,
)
from vm.guest import Guest
from vm.host.paths import write_atomic
from vm.types import TRANSITIONS, BootStep, MachineSpec, MachineState, Observation, Status

log = logging.getLogger(__name__)

CLEAN_STOP = 60.0  # seconds: containers have 10 s of grace each, in parallel, then the disk syncs
ASKED_STOP = 20.0  # seconds after the power button was pressed
# A boot in fifty hung in the lab before Linux came up, and QEMU 10.0.13 was seen to end one, under
# TCG, with "iotlb_to_section: Assertion". The second try works.
BOOT_ATTEMPTS = 2


class Machine:
    """`after_boot` are the owner's steps once ssh answers; `on_change` gets every new Status.

    Methods block until done and raise GalleyError; they may be called from any thread.
    """

    def __init__(
        self,
        directory: MachineDir,
        backend: Backend,
        on_change: Callable[[Status], None],
        after_boot: Callable[["Machine"], list[Step]] = lambda machine: [],
        deadlines: Deadlines = Deadlines(),
    ) -> None:
        self.directory = directory
        self.backend = backend
        self.story = BootStory(directory, backend)
        self._on_change = on_change
        self._after_boot = after_boot
        self._deadlines = deadlines
        self._status = Status(MachineState.ABSENT, backend.name)
        self._guest: Guest | None = None
        self._cancel = threading.Event()
        self._closing = False
        self._jobs: queue.Queue[tuple[Callable[[], None], Future[None]] | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="machine", daemon=True)

    # --- what callers ask -------------------------------------------------------------------

    def open(self) -> None:
        """Seed the state from the world; adopt a running machine in the background."""
        seen = self.backend.observe(self.directory)
        self._worker.start()
        if seen.state is not MachineState.RUNNING:
            self._see(seen)
            return
        self._see(seen, state=MachineState.STARTING)  # until we have found our way in
        self._submit(lambda: self._adopt(seen))

    def close(self) -> None:
        """Let go of the machine, which runs on (or boots on: the next to open it adopts it)."""
        self._closing = True
        self._cancel.set()
        self._jobs.put(None)
        if self._worker.ident is not None:
            self._worker.join(timeout=10)
        if self._guest is not None:
            self._guest.close()

    def start(self, prepare: Prepare, *, repair: bool = False) -> None:
        """Boot. `prepare` runs as the first step and says with which spec. Raises GalleyError."""
        self._submit(lambda: self._start(prepare, repair)).result()

    def stop(self) -> None:
        """Clean through the guest, then the power button, then the backend, then kill."""
        self.cancel()
        self._submit(self._stop).result()

    def restart(self, prepare: Prepare) -> None:
        self.cancel()
        self._submit(lambda: self._restart(prepare)).result()

    def delete(self) -> None:
        """Stop, then remove the data disk and everything else of the machine."""
        self.exchange(lambda: self.backend.delete(self.directory))

    def exchange(self, change: Callable[[], None]) -> None:
        """Stop, then let `change` do something to the machine's files."""
        self.cancel()
        self._submit(lambda: self._exchange(change)).result()

    def hold(self, work: Callable[[], None]) -> None:
        """Have `work` done while nobody moves the machine, whatever its state is."""
        self._submit(work).result()

    def apply(self, prepare: Prepare, spec: MachineSpec) -> bool:
        """Bring a running machine to `spec`: restart it if it differs. True if it was restarted."""
        running = self.backend.observe(self.directory)
        if running.state is not MachineState.RUNNING or running.spec == spec:
            return False
        self.restart(prepare)
        return True

    def cancel(self) -> None:
        """End a start that is under way; it raises Cancelled at its caller. Else nothing."""
        if self._status.state is MachineState.STARTING:
            self._cancel.set()

    @property
    def status(self) -> Status:
        return self._status

    @property
    def guest(self) -> Guest:
        """The inside of the running machine. Raises NoMachine."""
        guest = self._guest
        if guest is None:
            raise NoMachine("The machine is not running.", "Start it with `galley start`.")
        return guest

    # --- the worker -------------------------------------------------------------------------

    def _submit(self, job: Callable[[], None]) -> Future[None]:
        done: Future[None] = Future()
        self._jobs.put((job, done))
        return done

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            try:
                job()
            except GalleyError as error:
                done.set_exception(error)
            except Exception as error:  # boundary: the worker must outlive any job
                log.exception("the machine's worker met an unexpected error")
                self._set(problem=GalleyError(f"Galley failed: {error}").to_problem())
                done.set_exception(error)
            else:
                done.set_result(None)

    def _start(self, prepare: Prepare, repair: bool) -> None:
        self._cancel.clear()
        seen = self.backend.observe(self.directory)
        if seen.state is MachineState.RUNNING:
            self._start_again(seen)
            return
        self._move(MachineState.STARTING, problem=None, notice=None, boot=(), started_at=None)
        plan = self._plan(prepare, repair)
        for attempt in range(1, BOOT_ATTEMPTS + 1):
            try:
                self._boot(plan)
                return
            except StepFailed as failure:
                if not _may_pass(failure, plan) or attempt == BOOT_ATTEMPTS:
                    raise failure.error from failure
                log.warning("boot attempt %d failed, trying again: %s", attempt, failure)
                self._move(MachineState.STARTING, problem=None, notice=_tried_again(failure.error))

    def _plan(self, prepare: Prepare | None, repair: bool) -> BootPlan:
        return BootPlan(self.directory, self.backend, self.story, self._deadlines, prepare, repair)

    def _start_again(self, seen: Observation) -> None:
        """It runs already. Where it is degraded, see what is missing, without ending it."""
        if self._status.state is MachineState.RUNNING and self._status.problem is None:
            return
        if self._guest is None:
            self._adopt(seen)
        else:
            self._serve(tuple(step for step in self._status.boot if step.seconds is not None))

    def _restart(self, prepare: Prepare) -> None:
        self._stop()
        self._start(prepare, False)

    def _boot(self, plan: BootPlan) -> None:
        """From nothing to RUNNING. A failure ends the machine and raises StepFailed."""
        try:
            done = self._run([*plan.cold(self._note), *plan.in_guest(self._hold)], ())
        except Cancelled:
            self._end_cancelled()
            raise
        except StepFailed as failure:
            self._end(Force.QUIT)
            self._move(MachineState.FAILED, problem=failure.error.to_problem())
            raise
        self._reached(done)

    def _adopt(self, seen: Observation) -> None:
        """A machine that runs already: the same steps pass at once. A failure does not end it."""
        log.info("adopting the running machine, pid %s", seen.pid)
        plan = self._plan(None, False)
        self._see(seen, state=MachineState.STARTING, problem=None)
        try:
            done = self._run(plan.in_guest(self._hold), ())
        except StepFailed as failure:
            self._move(MachineState.FAILED, problem=failure.error.to_problem())
            raise failure.error from failure
        self._reached(done)

    def _reached(self, done: tuple[BootStep, ...]) -> None:
        """ssh answers: watch for the machine's death, then go through the owner's steps."""
        seen = self.backend.observe(self.directory)
        if seen.spec is not None:
            write_atomic(self.directory.spec, msgspec.json.encode(seen.spec))
        threading.Thread(target=self._watch, name="machine-watch", daemon=True).start()
        self._see(seen, state=MachineState.STARTING)
        self._serve(done)

    def _serve(self, done: tuple[BootStep, ...]) -> None:
        """The owner's steps. Their failure leaves the machine up, with the problem told."""
        try:
            done = self._run(self._after_boot(self), done)
        except Cancelled:
            self._end_cancelled()
            raise
        except StepFailed as failure:
            self._set(state=MachineState.RUNNING, problem=failure.error.to_problem())
            raise failure.error from failure
        self._set(state=MachineState.RUNNING, boot=done, problem=None, started_at=time.time())

    def _run(self, steps: list[Step], done: tuple[BootStep, ...]) -> tuple[BootStep, ...]:
        tail = self.story.console.tail
        return run_steps(steps, self._cancel, lambda boot: self._set(boot=boot), tail, done)

    def _end_cancelled(self) -> None:
        if not self._closing:
            self._end(Force.QUIT)
            self._move(MachineState.STOPPED, boot=())

    def _stop(self) -> None:
        seen = self.backend.observe(self.directory)
        if seen.state in (MachineState.STOPPED, MachineState.ABSENT):
            self._drop_guest()
            self._see(seen, boot=())
            return
        self._move(MachineState.STOPPING, problem=None, notice=None)
        guest = self._guest
        if guest is not None:
            with contextlib.suppress(GalleyError):
                guest.run(("galley-poweroff",), timeout=10)
        self._end(Force.ASK if guest is None else None)
        self._move(MachineState.STOPPED, boot=(), started_at=None)

    def _end(self, force: Force | None) -> None:
        """Wait for the end, asking harder each time; `None`: the guest has been asked already."""
        ladder: list[tuple[Force | None, float]] = [
            (None, CLEAN_STOP),
            (Force.ASK, ASKED_STOP),
            (Force.QUIT, 5.0),
            (Force.KILL, 10.0),
        ]
        start = next(index for index, (rung, _) in enumerate(ladder) if rung == force)
        for rung, patience in ladder[start:]:
            if rung is not None:
                self.backend.stop(self.directory, rung)
            if self.backend.wait_stopped(self.directory, patience):
                break
            log.warning("the machine did not end within %g s (%s)", patience, rung or "asked")
        self._drop_guest()

    def _exchange(self, change: Callable[[], None]) -> None:
        self._stop()
        change()
        self._see(self.backend.observe(self.directory), problem=None, boot=())

    def _watch(self) -> None:
        self.backend.wait_stopped(self.directory, None)
        self._submit(self._gone)

    def _gone(self) -> None:
        """The machine ended. Nobody's wish when the worker still believes it is running."""
        seen = self.backend.observe(self.directory)
        if self._status.state is not MachineState.RUNNING or seen.state is MachineState.RUNNING:
            return
        self._drop_guest()
        problem = GuestUnreachable(
            "The virtual machine ended unexpectedly.",
            "Start it again with `galley start`; images, volumes and containers are kept.",
            details=self.story.console.tail(),
        ).to_problem()
        self._see(seen, problem=problem, boot=())

    # --- the state --------------------------------------------------------------------------

    def _hold(self, guest: Guest) -> None:
        self._guest = guest

    def _drop_guest(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.close()

    def _note(self, sentence: str) -> None:
        """Show what a long step is doing, as the name of the step under way."""
        boot = self._status.boot
        self._set(boot=(*boot[:-1], BootStep(sentence)))

    def _see(self, seen: Observation, **changes: Any) -> None:
        """Take over what was observed; an observation may move to any state."""
        spec = seen.spec
        had: dict[str, Any] = {"share_by": seen.share_by}
        if spec is not None:
            had |= {"cpus": spec.cpus, "memory_bytes": spec.memory_bytes}
            had["disk_bytes"] = spec.disk_bytes
        self._set(**{"state": seen.state, "accelerator": seen.accelerator, **had, **changes})

    def _move(self, state: MachineState, **changes: Any) -> None:
        now = self._status.state
        if state is not now and state not in TRANSITIONS[now]:
            raise AssertionError(f"no way from {now} to {state}")
        self._set(state=state, **changes)

    def _set(self, **changes: Any) -> None:
        changed = msgspec.structs.replace(self._status, **changes)
        if changed != self._status:
            self._status = changed
            self._on_change(changed)


def _may_pass(failure: StepFailed, plan: BootPlan) -> bool:
    """Whether a second boot may go well where this one hung or ended. Nothing of the user is lost:
    the data disk was at most mounted, and is checked."""
    if isinstance(failure.error, BootDied):
        return True
    return failure.step.name == plan.LINUX and isinstance(failure.error, BootFailed)


def _tried_again(error: GalleyError) -> Problem:
    """What the user is told while it runs; `error` ended the first try."""
    return BootFailed(
        f"The machine came up only at the second try: {error.summary}",
        "Nothing is lost. `galley diagnose --bundle FILE` has the console of both.",
        details=error.details,
    ).to_problem()
