"""Shuts a machine down: by the guest, then with more force at each deadline. Next: `machine.py`."""

import contextlib
import logging

from vm.backend import Backend, Force
from vm.directory import MachineDir
from vm.errors import GalleyError, GuestUnreachable, Problem
from vm.lifecycle.handle import MachineHandle
from vm.messages.machine import MACHINE_ENDED
from vm.types import MachineState, Observation

log = logging.getLogger(__name__)

# Each measure, and the seconds until the next. None: the guest is powering itself off: it stops
# containers in parallel, with 10 s of grace, and syncs its disk.
ESCALATION: list[tuple[Force | None, float]] = [
    (None, 60.0),
    (Force.ASK, 20.0),
    (Force.QUIT, 5.0),
    (Force.KILL, 10.0),
]


def observe(backend: Backend, directory: MachineDir) -> Observation:
    """What a new supervisor finds. Ends a machine that the previous supervisor was about to resume:
    it would wait for its memory for ever. Its suspended state is still valid."""
    seen = backend.observe(directory)
    if seen.state is not MachineState.STARTING:
        return seen
    log.warning("ending pid %s, which waits for memory of an interrupted resume", seen.pid)
    _end_process(backend, directory, Force.KILL)
    return backend.observe(directory)


def unexpected_exit(console: str) -> Problem:
    return GuestUnreachable(
        MACHINE_ENDED,
        details=console,
    ).to_problem()


def stop(handle: MachineHandle, *, at_once: bool = False) -> None:
    """Power off through the guest, then escalate. `at_once`: without the guest's help."""
    seen = handle.observe()
    if seen.state in (MachineState.STOPPED, MachineState.ABSENT):
        handle.drop_guest()
        handle.see(seen, boot=())
        return
    pauses = handle.backend.pauses
    if seen.state is MachineState.PAUSED and pauses is not None:
        pauses.resume(handle.directory)  # a paused guest cannot power off
    handle.status.move(MachineState.STOPPING, problem=None, notice=None)
    guest = handle.guest
    if guest is not None and not at_once:
        with contextlib.suppress(GalleyError):
            guest.run(("galley-poweroff",), timeout=10)
    escalate(handle, Force.QUIT if at_once else Force.ASK if guest is None else None)
    handle.status.move(MachineState.STOPPED, boot=(), started_at=None)


def escalate(handle: MachineHandle, force: Force | None) -> None:
    """Wait for the process to end, with more force at each deadline, from `force` on."""
    _end_process(handle.backend, handle.directory, force)
    handle.drop_guest()


def _end_process(backend: Backend, directory: MachineDir, force: Force | None) -> None:
    first = [each for each, _ in ESCALATION].index(force)
    for each, deadline in ESCALATION[first:]:
        if each is not None:
            backend.stop(directory, each)
        if backend.wait_stopped(directory, deadline):
            return
        log.warning("the machine did not end within %g s (%s)", deadline, each or "by itself")
