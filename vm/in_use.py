"""Paths of this computer that programs in the guest had when it was suspended, and which files they
were: a guest that goes on must not find others in their place.

The engine writes them down just before (`engine/lifecycle/stopping.py`); the backend keeps them
with what is suspended. Next: `vm/backends/qemu/state/suspend.py`.
"""

from collections.abc import Iterable, Mapping

import msgspec

from vm.directory import MachineDir
from vm.host import file_identity
from vm.host.paths import write_atomic

type InUse = dict[str, str]  # identity by path


def keep(directory: MachineDir, paths: Iterable[str]) -> None:
    """Raises HomeUnusable, DiskFull."""
    found = {path: file_identity.at(path) for path in paths}
    write_atomic(directory.in_use, msgspec.json.encode(found))


def take(directory: MachineDir) -> InUse:
    """What was written down, once. Empty where nothing was."""
    try:
        found = msgspec.json.decode(directory.in_use.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        found = {}
    directory.in_use.unlink(missing_ok=True)
    return found


def replaced(kept: Mapping[str, str]) -> str | None:
    """The first of these paths where another file is now, or none."""
    return next((path for path, was in kept.items() if file_identity.at(path) != was), None)
