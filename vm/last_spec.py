"""spec.json: the MachineSpec that the machine last ran with.

Next: `vm/lifecycle/boot_steps.py` (what a larger disk means) and `vm/lifecycle/bring_up.py`, which
saves it.
"""

import msgspec

from vm.directory import MachineDir
from vm.host.paths import write_atomic
from vm.types import MachineSpec


def read(directory: MachineDir) -> MachineSpec | None:
    """None where the machine never ran, or the file is damaged."""
    try:
        return msgspec.json.decode(directory.spec.read_bytes(), type=MachineSpec)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(directory: MachineDir, spec: MachineSpec) -> None:
    """Writes only a change: a start would wait for the disk. Raises as `write_atomic`."""
    if read(directory) != spec:
        write_atomic(directory.spec, msgspec.json.encode(spec))
