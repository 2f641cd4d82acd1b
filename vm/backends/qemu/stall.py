"""A machine that stands still because this computer's disk took no more, as QEMU tells it.

QEMU stops the guest at a write that fails (`werror=stop` in `command.py`), which then waits instead
of losing anything. May import: `qmp.py`, vm's values. Next: `engine/host_room.py`.
"""

from vm.backends.qemu import qmp
from vm.directory import MachineDir
from vm.errors import BackendFailed

STATUS = "io-error"
LONGEST = 86400.0  # seconds; then the socket is connected to anew


def wait(directory: MachineDir) -> bool:
    """Until QEMU has stopped the guest for it (True) or tells no more (False)."""
    try:
        with qmp.session(directory.events_socket, LONGEST) as session:
            if session.field("query-status", "status") == STATUS:
                return True
            while True:
                event = session.next_event()
                if event.event == "BLOCK_IO_ERROR" and event.data.get("action") == "stop":
                    return True
    except BackendFailed:
        return False
