"""How a machine ends: asked, asked harder, made to. May import: `vm.backend`, `vm.directory`.

Next: `machine.py`.
"""

import logging

from vm.backend import Backend, Force
from vm.directory import MachineDir

log = logging.getLogger(__name__)

# What is done, and how many seconds it then has. None: the guest has been asked already; containers
# have 10 s of grace each, in parallel, then the disk syncs.
LADDER: list[tuple[Force | None, float]] = [
    (None, 60.0),
    (Force.ASK, 20.0),
    (Force.QUIT, 5.0),
    (Force.KILL, 10.0),
]


def end(backend: Backend, directory: MachineDir, force: Force | None) -> None:
    """Wait for the end, from this rung on harder each time."""
    first = next(index for index, (rung, _) in enumerate(LADDER) if rung == force)
    for rung, patience in LADDER[first:]:
        if rung is not None:
            backend.stop(directory, rung)
        if backend.wait_stopped(directory, patience):
            return
        log.warning("the machine did not end within %g s (%s)", patience, rung or "asked")
