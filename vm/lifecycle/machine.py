"""The one lifecycle for all backends: start, stop, pause, wake, delete, adopt, unexpected exit.

One worker thread makes all transitions, from one queue; callers wait for their own. The first state
comes from `Backend.observe`, so a VM that outlived its supervisor is adopted: the boot steps run
again over the same console log, and succeed at once where they have before. Next: `bring_up.py`,
`suspension.py`, `shutdown.py` (the longer transitions), `handle.py` (what they share),
`vm/backend.py`.
"""

from collections.abc import Callable

from vm.backend import Backend
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.guest.protocol import Guest, Stream
from vm.guest.resize_fs import grow_file_system
from vm.lifecycle import shutdown, suspension
from vm.lifecycle.boot_steps import Deadlines, Prepare
from vm.lifecycle.bring_up import BringUp
from vm.lifecycle.handle import MachineHandle
from vm.lifecycle.steps import Step
from vm.lifecycle.worker import Worker
from vm.messages.machine import MACHINE_GALLEY_FAILED
from vm.types import MachineState, Observation, Status


class Machine:
    """Methods block until done and raise GalleyError; they may be called from any thread."""

    def __init__(
        self, directory: MachineDir, backend: Backend, deadlines: Deadlines = Deadlines()
    ) -> None:
        self.directory = directory
        self.backend = backend
        self._handle = MachineHandle(directory, backend, self._exited)
        self.story = self._handle.story
        self._bring_up = BringUp(self._handle, deadlines)
        self._worker = Worker("machine", self._on_unexpected_error)

    # --- for any thread ---------------------------------------------------------------------

    def open(
        self,
        on_change: Callable[[Status], None] = lambda status: None,
        after_boot: Callable[[], list[Step]] = list,
        on_reachable: Callable[[Guest], None] = lambda guest: None,
    ) -> None:
        """Observe the machine's state; adopt a running machine in the background. A paused one
        stays paused: `wake` connects to its guest. `on_change` gets every new Status from here on;
        `after_boot` makes the owner's steps, which follow once ssh answers; `on_reachable` is
        called as soon as the guest answers, and returns at once."""
        self._handle.status.on_change = on_change
        self._handle.on_reachable = on_reachable
        self._bring_up.after_boot = after_boot
        seen = shutdown.observe(self.backend, self.directory)
        self._worker.begin()
        if seen.state is MachineState.PAUSED:
            self._handle.exit_watch.begin(seen.pid)
        if seen.state is not MachineState.RUNNING:
            self._handle.see(seen)
            return
        self._handle.see(seen, state=MachineState.STARTING)  # until the guest answers
        self._worker.submit(lambda: self._bring_up.adopt(seen))

    def close(self) -> None:
        """Detach from the machine, which continues to run or boot: the next supervisor adopts
        it."""
        self._handle.is_closing = True
        self._handle.cancel.set()
        self._worker.end(10)
        if self._handle.guest is not None:
            self._handle.guest.close()

    def start(self, prepare: Prepare, *, repair: bool = False) -> None:
        """Boot. `prepare` runs as the first step and returns the spec. Raises GalleyError."""
        self._worker.submit(lambda: self._start(prepare, repair)).result()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop cleanly through the guest, then by the power button, then the backend, then kill.
        `at_once`: without the first two, for a guest that does not respond."""
        self.cancel()
        self._worker.submit(lambda: shutdown.stop(self._handle, at_once=at_once)).result()

    def suspend(self, before: Callable[[], None] = lambda: None) -> None:
        """Suspend to disk: the next start resumes. `before` is called first, once no client is
        served any more. Raises GalleyError; the machine then serves again."""
        self._worker.submit(lambda: self._suspend(before)).result()

    def run_suspended(self, before: Callable[[], None], work: Callable[[], None]) -> None:
        """Suspend, run `work`, and resume, also when `work` fails. `before`: as for `suspend`. A
        machine that does not run is not started."""
        self._worker.submit(lambda: self._run_suspended(before, work)).result()

    def pause(self, may: Callable[[], bool] = lambda: True) -> bool:
        """Halt the vCPUs of a running machine; its connections stay. `may` is called after PAUSED
        is published: it takes earlier clients into account, and a later one calls `wake`, so no
        request is lost. True if the machine is paused now."""
        self._worker.submit(lambda: self._pause(may)).result()
        return self._handle.state is MachineState.PAUSED

    def wake(self) -> None:
        """Continue a paused machine; returns when its guest answers. Raises GalleyError."""
        self._worker.submit(self._wake).result()

    def restart(self, prepare: Prepare) -> None:
        self.cancel()
        self._worker.submit(lambda: self._restart(prepare)).result()

    def delete(self) -> None:
        """Stop, then remove the data disk and everything else of the machine."""
        self.replace_files(lambda: self.backend.delete(self.directory))

    def replace_files(self, change: Callable[[], None]) -> None:
        """Stop the machine, then let `change` replace its files."""
        self.cancel()
        self._worker.submit(lambda: self._replace_files(change)).result()

    def run_exclusive(self, work: Callable[[], None]) -> None:
        """Run `work` while no transition runs, in whatever state the machine is."""
        self._worker.submit(work).result()

    def grow(self, disk_bytes: int) -> None:
        """Grow the data disk of a running machine to `disk_bytes`, if it is smaller."""
        self._worker.submit(lambda: self._grow(disk_bytes)).result()

    def cancel(self) -> None:
        """Cancel a start that is under way: it raises Cancelled in its caller."""
        if self._handle.state is MachineState.STARTING:
            self._handle.cancel.set()

    @property
    def status(self) -> Status:
        return self._handle.status.status

    @property
    def guest(self) -> Guest:
        """The inside of the running machine. Raises NoMachine."""
        return self._handle.running_guest

    def dial(self, socket_path: str) -> Stream:
        """A connection to a Unix socket of the guest. Raises NoMachine, GuestUnreachable."""
        return self.guest.dial(socket_path)

    # --- the worker -------------------------------------------------------------------------

    def _on_unexpected_error(self, error: Exception) -> None:
        problem = GalleyError(MACHINE_GALLEY_FAILED, error=error).to_problem()
        self._handle.see(self._handle.observe(), problem=problem)

    def _start(self, prepare: Prepare, repair: bool) -> None:
        self._handle.cancel.clear()
        self._on_exit()  # it may have ended before the exit watch has reported it
        seen = self._handle.observe()
        if seen.state.is_up:
            self._start_running(seen)
        else:
            self._bring_up.start(prepare, repair=repair)

    def _start_running(self, seen: Observation) -> None:
        """For a machine that runs already: wake it, and retry the steps that failed."""
        if seen.state is MachineState.PAUSED:
            self._wake()
        status = self.status
        if status.state is MachineState.RUNNING and status.problem is None:
            return
        if self._handle.guest is None:
            self._bring_up.adopt(seen)
        else:
            self._bring_up.serve(tuple(step for step in status.boot if step.seconds is not None))

    def _pause(self, may: Callable[[], bool]) -> None:
        pauses, status = self.backend.pauses, self._handle.status
        if pauses is None or self._handle.state is not MachineState.RUNNING:
            return
        status.move(MachineState.PAUSED)
        try:
            if may():
                pauses.pause(self.directory)
                return
        except GalleyError:
            status.move(MachineState.RUNNING)
            raise
        status.move(MachineState.RUNNING)

    def _wake(self) -> None:
        pauses = self.backend.pauses
        if pauses is None or self._handle.state is not MachineState.PAUSED:
            return
        pauses.resume(self.directory)
        if self._handle.guest is None:
            self._bring_up.adopt(self._handle.observe())
        else:
            self._handle.status.move(MachineState.RUNNING)

    def _restart(self, prepare: Prepare) -> None:
        shutdown.stop(self._handle)
        self._start(prepare, False)

    def _suspend(self, before: Callable[[], None]) -> None:
        if not self._handle.observe().state.is_up:
            shutdown.stop(self._handle)
            return
        self._wake()
        suspension.suspend(self._handle, self._bring_up, before)

    def _run_suspended(self, before: Callable[[], None], work: Callable[[], None]) -> None:
        spec = self._handle.observe().spec  # the suspended memory fits no other spec
        self._suspend(before)
        try:
            work()
        finally:
            if spec is not None:
                self._start(lambda wait, note: spec, False)

    def _grow(self, disk_bytes: int) -> None:
        seen, grows = self._handle.observe(), self.backend.grows_disk
        runs = self._handle.state is MachineState.RUNNING
        is_smaller = seen.spec is not None and seen.spec.disk_bytes < disk_bytes
        if runs and is_smaller and grows is not None:
            grows.grow(self.directory, disk_bytes)
            grow_file_system(self.guest)
            self._handle.see(self._handle.observe())

    def _replace_files(self, change: Callable[[], None]) -> None:
        shutdown.stop(self._handle)
        change()
        self._handle.see(self._handle.observe(), problem=None, boot=())

    def _exited(self) -> None:
        self._worker.submit(self._on_exit)

    def _on_exit(self) -> None:
        """The process has ended: unexpectedly, if the published state is running or paused."""
        if self._handle.state.is_up:
            seen = self._handle.observe()
            if not seen.state.is_up:
                self._handle.drop_guest()
                problem = shutdown.unexpected_exit(self.story.console.tail())
                self._handle.see(seen, problem=problem, boot=())
