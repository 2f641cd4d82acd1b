"""Paths of this computer that containers used when the machine was suspended, and their identities:
a resumed guest must not find other files in their place.

The engine saves them just before a suspend (`engine/lifecycle/stopping.py`); the backend keeps them
with the suspended state. Next: `vm/backends/qemu/state/suspend.py`.
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
    """Read and delete what `keep` wrote. Empty where there is nothing."""
    try:
        found = msgspec.json.decode(directory.in_use.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        found = {}
    directory.in_use.unlink(missing_ok=True)
    return found


def replaced(kept: Mapping[str, str]) -> str | None:
    """The first of these paths that is another file now, or None."""
    return next((path for path, was in kept.items() if file_identity.at(path) != was), None)
