"""The one lifecycle for all backends: start, stop, pause, wake, delete, adopt, notice a death.

One worker thread moves the machine, from one queue; callers wait for their turn. State is seeded by
`Backend.observe`, so a VM that outlived its supervisor is adopted: the boot steps run again over
the same console log, and those that have passed pass at once. Next: `steps.py`, `vm/backend.py`.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from vm import last_spec
from vm.backend import Backend, Force
from vm.directory import MachineDir
from vm.errors import Cancelled, GalleyError, NoMachine
from vm.guest.agent import Keeper
from vm.guest.protocol import Guest
from vm.guest.resize_fs import grow_file_system
from vm.lifecycle import shutdown
from vm.lifecycle.boot_steps import BootPlan, BootStory, Deadlines, Prepare, tried_again
from vm.lifecycle.status import Shown
from vm.lifecycle.steps import Step, StepFailed, run_steps
from vm.lifecycle.worker import Worker
from vm.types import BootStep, MachineState, Observation, Status

log = logging.getLogger(__name__)

# A boot in fifty hung in the lab before Linux came up, and QEMU 10.0.13 was seen to end one, under
# TCG, with "iotlb_to_section: Assertion". The second try works.
BOOT_ATTEMPTS = 2


class Machine:
    """`after_boot` are the owner's steps once ssh answers; `on_change` gets every new Status;
    `in_reach` is called as soon as the guest can be talked to, and returns at once. Methods block
    until done and raise GalleyError; they may be called from any thread.
    """

    def __init__(
        self,
        directory: MachineDir,
        backend: Backend,
        on_change: Callable[[Status], None],
        after_boot: Callable[["Machine"], list[Step]] = lambda machine: [],
        deadlines: Deadlines = Deadlines(),
        in_reach: Callable[[Guest], None] = lambda guest: None,
    ) -> None:
        self.directory = directory
        self.backend = backend
        self.story = BootStory(directory, backend)
        self._after_boot = after_boot
        self._deadlines = deadlines
        self._in_reach = in_reach
        self._shown = Shown(Status(MachineState.ABSENT, backend.name), on_change)
        self._guest: Guest | None = None
        self._cancel = threading.Event()
        self._closing = False
        self._worker = Worker("machine", self._mistaken)
        self._attended: int | None = None  # the pid whose end a thread waits for

    # --- what callers ask -------------------------------------------------------------------

    def open(self) -> None:
        """Seed the state from the world; adopt a running machine in the background. A paused one
        stays paused: the way in is found when somebody wakes it."""
        seen = shutdown.observe(self.backend, self.directory)
        self._worker.begin()
        if seen.state is MachineState.PAUSED:
            self._attend(seen)
        if seen.state is not MachineState.RUNNING:
            self._see(seen)
            return
        self._see(seen, state=MachineState.STARTING)  # until we have found our way in
        self._worker.submit(lambda: self._adopt(seen))

    def close(self) -> None:
        """Let go of the machine, which runs on (or boots on: the next to open it adopts it)."""
        self._closing = True
        self._cancel.set()
        self._worker.end(10)
        if self._guest is not None:
            self._guest.close()

    def start(self, prepare: Prepare, *, repair: bool = False) -> None:
        """Boot. `prepare` runs as the first step and says with which spec. Raises GalleyError."""
        self._worker.submit(lambda: self._start(prepare, repair)).result()

    def stop(self, *, at_once: bool = False) -> None:
        """Clean through the guest, then the power button, then the backend, then kill. `at_once`:
        without the first two, for a guest that cannot do anything."""
        self.cancel()
        self._worker.submit(lambda: self._stop(at_once)).result()

    def suspend(self, before: Callable[[], None] = lambda: None) -> None:
        """Put it on the disk, so that the next start goes on from here. `before` is asked first,
        when nobody is served any more. Raises GalleyError, and then it is served again."""
        self._worker.submit(lambda: self._suspend(before)).result()

    def aside(self, before: Callable[[], None], work: Callable[[], None]) -> None:
        """Suspend it for as long as `work` takes or fails; one that does not run stays so."""
        self._worker.submit(lambda: self._aside(before, work)).result()

    def pause(self, may: Callable[[], bool] = lambda: True) -> bool:
        """Halt a running machine where it is; connections into it stay. `may` is asked once
        everybody can see that it is paused, so that who came before is known to it and who comes
        later calls `wake`. True if it is paused now."""
        self._worker.submit(lambda: self._pause(may)).result()
        return self._shown.status.state is MachineState.PAUSED

    def wake(self) -> None:
        """Let a paused machine go on; back when it can be talked to. Raises GalleyError."""
        self._worker.submit(self._wake).result()

    def restart(self, prepare: Prepare) -> None:
        self.cancel()
        self._worker.submit(lambda: self._restart(prepare)).result()

    def delete(self) -> None:
        """Stop, then remove the data disk and everything else of the machine."""
        self.exchange(lambda: self.backend.delete(self.directory))

    def exchange(self, change: Callable[[], None]) -> None:
        """Stop, then let `change` do something to the machine's files."""
        self.cancel()
        self._worker.submit(lambda: self._exchange(change)).result()

    def occupy(self, work: Callable[[], None]) -> None:
        """Have `work` done while nobody moves the machine, whatever its state is."""
        self._worker.submit(work).result()

    def grow(self, disk_bytes: int) -> None:
        """Make the data disk of a running machine as large, if it is smaller."""
        self._worker.submit(lambda: self._grow(disk_bytes)).result()

    def cancel(self) -> None:
        """End a start that is under way; it raises Cancelled at its caller. Else nothing."""
        if self._shown.status.state is MachineState.STARTING:
            self._cancel.set()

    @property
    def status(self) -> Status:
        return self._shown.status

    @property
    def guest(self) -> Guest:
        """The inside of the running machine. Raises NoMachine."""
        guest = self._guest
        if guest is None:
            raise NoMachine("The machine is not running.", "Start it with `galley start`.")
        return guest

    # --- the worker -------------------------------------------------------------------------

    def _mistaken(self, error: Exception) -> None:
        problem = GalleyError(f"Galley failed: {error}").to_problem()
        self._see(self.backend.observe(self.directory), problem=problem)

    def _start(self, prepare: Prepare, repair: bool) -> None:
        self._cancel.clear()
        self._gone()  # perhaps a moment ago, and nobody has noticed
        seen = self.backend.observe(self.directory)
        if seen.state.is_up:
            self._start_again(seen)
            return
        fresh: dict[str, Any] = {"boot": (), "started_at": None, "resumable": False}
        self._shown.move(MachineState.STARTING, problem=None, notice=None, **fresh)
        plan = self._plan(prepare, repair)
        if not repair and self.backend.is_suspended(self.directory) and self._go_on(plan):
            return
        for attempt in range(1, BOOT_ATTEMPTS + 1):
            try:
                self._boot(plan)
                return
            except StepFailed as failure:
                if not plan.may_pass(failure) or attempt == BOOT_ATTEMPTS:
                    raise failure.error from failure
                log.warning("boot attempt %d failed, trying again: %s", attempt, failure)
                self._shown.move(
                    MachineState.STARTING, problem=None, notice=tried_again(failure.error)
                )

    def _go_on(self, plan: BootPlan) -> bool:
        """From where it was suspended. False: from cold, and the reason is told."""
        try:
            done = self._run(plan.warm(self._shown.note, self._hold), ())
        except Cancelled:
            if not self._closing:
                self._stop()
            raise
        except StepFailed as failure:
            log.warning("a start from cold: %s %s", failure.error.summary, failure.error.details)
            self._end(Force.KILL)
            self._shown.set(notice=failure.error.to_problem())
            return False
        self._reached(done)
        return True

    def _plan(self, prepare: Prepare | None, repair: bool) -> BootPlan:
        return BootPlan(self.directory, self.backend, self.story, self._deadlines, prepare, repair)

    def _start_again(self, seen: Observation) -> None:
        """It runs already. Where it is degraded, see what is missing, without ending it."""
        if seen.state is MachineState.PAUSED:
            self._wake()
        if self._shown.status.state is MachineState.RUNNING and self._shown.status.problem is None:
            return
        if self._guest is None:
            self._adopt(seen)
        else:
            self._serve(tuple(step for step in self._shown.status.boot if step.seconds is not None))

    def _pause(self, may: Callable[[], bool]) -> None:
        if self._shown.status.state is not MachineState.RUNNING:
            return
        self._shown.move(MachineState.PAUSED)
        try:
            if may():
                self.backend.pause(self.directory)
                return
        except GalleyError:
            self._shown.move(MachineState.RUNNING)
            raise
        self._shown.move(MachineState.RUNNING)

    def _wake(self) -> None:
        if self._shown.status.state is not MachineState.PAUSED:
            return
        self.backend.wake(self.directory)
        if self._guest is None:
            self._adopt(self.backend.observe(self.directory))
        else:
            self._shown.move(MachineState.RUNNING)

    def _restart(self, prepare: Prepare) -> None:
        self._stop()
        self._start(prepare, False)

    def _boot(self, plan: BootPlan) -> None:
        """From nothing to RUNNING. A failure ends the machine and raises StepFailed."""
        try:
            done = self._run([*plan.cold(self._shown.note), *plan.in_guest(self._hold)], ())
        except Cancelled:
            self._end_cancelled()
            raise
        except StepFailed as failure:
            self._end(Force.QUIT)
            self._shown.move(MachineState.FAILED, problem=failure.error.to_problem())
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
            self._shown.move(MachineState.FAILED, problem=failure.error.to_problem())
            raise failure.error from failure
        with contextlib.suppress(GalleyError):  # who left it may have suspended or resumed it
            Keeper(self.guest.dial).rouse()
        self._reached(done)

    def _reached(self, done: tuple[BootStep, ...]) -> None:
        """ssh answers: watch for the machine's death, then go through the owner's steps."""
        seen = self.backend.observe(self.directory)
        if seen.spec is not None:
            last_spec.keep(self.directory, seen.spec)
        self._attend(seen)
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
            self._shown.set(state=MachineState.RUNNING, problem=failure.error.to_problem())
            raise failure.error from failure
        self._shown.set(state=MachineState.RUNNING, boot=done, problem=None, started_at=time.time())

    def _run(self, steps: list[Step], done: tuple[BootStep, ...]) -> tuple[BootStep, ...]:
        tail = self.story.console.tail
        return run_steps(steps, self._cancel, lambda boot: self._shown.set(boot=boot), tail, done)

    def _end_cancelled(self) -> None:
        if not self._closing:
            self._end(Force.QUIT)
            self._shown.move(MachineState.STOPPED, boot=())

    def _stop(self, at_once: bool = False) -> None:
        seen = self.backend.observe(self.directory)
        if seen.state in (MachineState.STOPPED, MachineState.ABSENT):
            self._drop_guest()
            self._see(seen, boot=())
            return
        if seen.state is MachineState.PAUSED:
            self.backend.wake(self.directory)  # it has to hear that it is to end
        self._shown.move(MachineState.STOPPING, problem=None, notice=None)
        guest = self._guest
        if guest is not None and not at_once:
            with contextlib.suppress(GalleyError):
                guest.run(("galley-poweroff",), timeout=10)
        self._end(Force.QUIT if at_once else Force.ASK if guest is None else None)
        self._shown.move(MachineState.STOPPED, boot=(), started_at=None)

    def _suspend(self, before: Callable[[], None]) -> None:
        if not self.backend.observe(self.directory).state.is_up:
            self._stop()
            return
        self._wake()
        guest = self.guest
        try:
            self._shown.move(MachineState.STOPPING, problem=None)
            before()
            Keeper(guest.dial).settle()
            self.backend.suspend(self.directory)
        except GalleyError as error:
            self._serve_again(guest, error)
            raise
        self._drop_guest()
        self._shown.move(MachineState.STOPPED, boot=(), started_at=None, resumable=True)

    def _aside(self, before: Callable[[], None], work: Callable[[], None]) -> None:
        spec = self.backend.observe(self.directory).spec  # no other would fit its memory
        self._suspend(before)
        try:
            work()
        finally:
            if spec is not None:
                self._start(lambda wait, note: spec, False)

    def _serve_again(self, guest: Guest, error: GalleyError) -> None:
        """It is not put on the disk. It may have ended meanwhile."""
        with contextlib.suppress(GalleyError):
            Keeper(guest.dial).thaw()
        seen = self.backend.observe(self.directory)
        if not seen.state.is_up:
            self._drop_guest()
            self._see(seen, problem=error.to_problem(), boot=())
            return
        self._shown.move(MachineState.STARTING)
        self._serve(())

    def _end(self, force: Force | None) -> None:
        shutdown.end(self.backend, self.directory, force)
        self._drop_guest()

    def _grow(self, disk_bytes: int) -> None:
        seen = self.backend.observe(self.directory)
        runs = self._shown.status.state is MachineState.RUNNING
        if runs and seen.spec is not None and seen.spec.disk_bytes < disk_bytes:
            self.backend.grow(self.directory, disk_bytes)
            grow_file_system(self.guest)
            self._see(self.backend.observe(self.directory))

    def _exchange(self, change: Callable[[], None]) -> None:
        self._stop()
        change()
        self._see(self.backend.observe(self.directory), problem=None, boot=())

    def _attend(self, seen: Observation) -> None:
        """Watch for the machine's end, once."""
        if seen.pid is None or seen.pid != self._attended:
            self._attended = seen.pid
            threading.Thread(target=self._watch, name="machine-watch", daemon=True).start()

    def _watch(self) -> None:
        self.story.wait_end()
        self._worker.submit(self._gone)

    def _gone(self) -> None:
        """The machine ended. Nobody's wish when the worker still believes it is running."""
        if self._shown.status.state.is_up:
            seen = self.backend.observe(self.directory)
            if not seen.state.is_up:
                self._drop_guest()
                self._see(seen, problem=shutdown.by_itself(self.story.console.tail()), boot=())

    # --- the state --------------------------------------------------------------------------

    def _hold(self, guest: Guest) -> None:
        self._guest = guest
        self._in_reach(guest)

    def _drop_guest(self) -> None:
        guest, self._guest, self._attended = self._guest, None, None
        if guest is not None:
            guest.close()

    def _see(self, seen: Observation, **changes: Any) -> None:
        resumable = seen.state is MachineState.STOPPED and self.backend.is_suspended(self.directory)
        self._shown.see(seen, **{"resumable": resumable, **changes})
