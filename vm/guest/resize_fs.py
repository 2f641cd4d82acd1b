"""Grows the file system on the data disk.

The guest does it; next: `engine/guest/files/usr/lib/galley/disk`, which does the same at a start.
"""

from vm.errors import MachineError
from vm.guest.protocol import Guest
from vm.messages.guest import GUEST_NOT_GROWN

DEVICE = "/dev/vdb"
PATIENCE = 120.0  # seconds; an emulated guest takes several to grow by a terabyte


def grow_file_system(guest: Guest) -> None:
    """Grow it to the size of its disk while it is mounted. Raises MachineError,
    GuestUnreachable."""
    done = guest.run(("resize2fs", DEVICE), timeout=PATIENCE)
    if not done.ok:
        raise MachineError(
            GUEST_NOT_GROWN,
            details=done.tail(),
        )
