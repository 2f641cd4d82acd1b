"""Suspends a machine: stops serving, freezes the data disk, saves; or undoes all of it.

Next: `vm.capabilities.Suspends`, `machine.py`.
"""

import contextlib
from collections.abc import Callable

from vm.capabilities import Suspends
from vm.errors import BackendFailed, GalleyError
from vm.guest.agent import GuestAgent
from vm.lifecycle.bring_up import BringUp
from vm.lifecycle.handle import MachineHandle
from vm.messages.machine import SUSPEND_IMPOSSIBLE
from vm.types import MachineState


def unsupported() -> BackendFailed:
    """The error for a backend without `Suspends`."""
    return BackendFailed(SUSPEND_IMPOSSIBLE)


def suspend(handle: MachineHandle, bring_up: BringUp, before: Callable[[], None]) -> None:
    """Suspend a machine that runs and is not paused. Raises GalleyError, also from `before`; then
    `bring_up` makes it serve again, which may raise as well."""
    suspends, guest = _supported(handle), handle.running_guest
    try:
        handle.status.move(MachineState.STOPPING, problem=None)
        before()
        GuestAgent(guest.dial).settle()
        suspends.suspend(handle.directory)
    except GalleyError as error:
        with contextlib.suppress(GalleyError):
            GuestAgent(guest.dial).thaw()
        _serve_again(handle, bring_up, error)
        raise
    handle.drop_guest()
    handle.status.move(MachineState.STOPPED, boot=(), started_at=None, resumable=True)


def _supported(handle: MachineHandle) -> Suspends:
    """Raises BackendFailed."""
    suspends = handle.backend.suspends
    if suspends is None:
        raise unsupported()
    return suspends


def _serve_again(handle: MachineHandle, bring_up: BringUp, error: GalleyError) -> None:
    """After a failed suspend. The machine may have ended meanwhile."""
    seen = handle.observe()
    if not seen.state.is_up:
        handle.drop_guest()
        handle.see(seen, problem=error.to_problem(), boot=())
        return
    handle.status.move(MachineState.STARTING)
    bring_up.serve(())
