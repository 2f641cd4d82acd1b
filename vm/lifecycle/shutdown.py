"""How a machine ends: asked, asked harder, made to, or by itself. Next: `machine.py`."""

import contextlib
import logging

from vm.backend import Backend, Force
from vm.directory import MachineDir
from vm.errors import GalleyError, GuestUnreachable, Problem
from vm.lifecycle.handle import MachineHandle
from vm.types import MachineState, Observation

log = logging.getLogger(__name__)

# What is done, and how many seconds it then has. None: the guest has been asked already; containers
# have 10 s of grace each, in parallel, then the disk syncs.
LADDER: list[tuple[Force | None, float]] = [
    (None, 60.0),
    (Force.ASK, 20.0),
    (Force.QUIT, 5.0),
    (Force.KILL, 10.0),
]


def observe(backend: Backend, directory: MachineDir) -> Observation:
    """For a supervisor that comes: a machine that its predecessor was about to resume, and that
    waits for its memory now, waits for ever. What it was to go on from still counts."""
    seen = backend.observe(directory)
    if seen.state is not MachineState.STARTING:
        return seen
    log.warning("its memory will never come: ending pid %s", seen.pid)
    _end_process(backend, directory, Force.KILL)
    return backend.observe(directory)


def by_itself(console: str) -> Problem:
    return GuestUnreachable(
        "The virtual machine ended unexpectedly.",
        "Start it again with `galley start`; images, volumes and containers are kept.",
        details=console,
    ).to_problem()


def stop(handle: MachineHandle, *, at_once: bool = False) -> None:
    """Through the guest, then harder each time. `at_once`: without asking anything inside."""
    seen = handle.observe()
    if seen.state in (MachineState.STOPPED, MachineState.ABSENT):
        handle.drop_guest()
        handle.see(seen, boot=())
        return
    pauses = handle.backend.pauses
    if seen.state is MachineState.PAUSED and pauses is not None:
        pauses.resume(handle.directory)  # it has to hear that it is to end
    handle.status.move(MachineState.STOPPING, problem=None, notice=None)
    guest = handle.guest
    if guest is not None and not at_once:
        with contextlib.suppress(GalleyError):
            guest.run(("galley-poweroff",), timeout=10)
    end(handle, Force.QUIT if at_once else Force.ASK if guest is None else None)
    handle.status.move(MachineState.STOPPED, boot=(), started_at=None)


def end(handle: MachineHandle, force: Force | None) -> None:
    """Wait for the end, from this rung on harder each time."""
    _end_process(handle.backend, handle.directory, force)
    handle.drop_guest()


def _end_process(backend: Backend, directory: MachineDir, force: Force | None) -> None:
    first = next(index for index, (rung, _) in enumerate(LADDER) if rung == force)
    for rung, patience in LADDER[first:]:
        if rung is not None:
            backend.stop(directory, rung)
        if backend.wait_stopped(directory, patience):
            return
        log.warning("the machine did not end within %g s (%s)", patience, rung or "asked")
