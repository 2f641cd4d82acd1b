"""spec.json: the MachineSpec that the machine was last up with.

Next: `vm/lifecycle/boot_steps.py` (what a larger disk means) and `vm/lifecycle/machine.py`, which
keeps it.
"""

import msgspec

from vm.directory import MachineDir
from vm.host.paths import write_atomic
from vm.types import MachineSpec


def read(directory: MachineDir) -> MachineSpec | None:
    """None: nobody knows, for it never was up, or the file is damaged."""
    try:
        return msgspec.json.decode(directory.spec.read_bytes(), type=MachineSpec)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(directory: MachineDir, spec: MachineSpec) -> None:
    """Nothing is written where it says so already: a start would wait for the disk. Raises as
    `write_atomic`."""
    if read(directory) != spec:
        write_atomic(directory.spec, msgspec.json.encode(spec))
