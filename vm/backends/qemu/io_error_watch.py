"""Reports that QEMU has halted the guest because a write to this computer's disk failed.

QEMU halts the guest at a failed write (`werror=stop` in `command.py`), so that no data is lost.
Next: `engine/monitors/host_disk_space.py`.
"""

from vm.backends.qemu import qmp, running
from vm.capabilities import WatchesDiskErrors
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host import process
from vm.types import DiskError

STATUS = "io-error"
LONGEST = 86400.0  # seconds; then it reconnects


class IoErrorWatch(WatchesDiskErrors):
    """Reads events on a QMP socket of its own; reconnects when that closes."""

    def wait(self, directory: MachineDir) -> DiskError | None:
        while (found := running.find(directory)) is not None:
            has_events = directory.events_socket.exists()  # not where an older version started it
            if has_events and (error := wait_for_error(directory)) is not None:
                return error
            process.wait_gone(found.identity, 1.0 if has_events else None)
        return None

    def resume(self, directory: MachineDir) -> None:
        found = running.find(directory)
        if found is not None:
            with running.control(directory, found) as session:
                if session.field("query-status", "status") == STATUS:
                    session.execute("cont")


def wait_for_error(directory: MachineDir) -> DiskError | None:
    """Block until QEMU halts the guest for an error, and return it; None when QEMU has ended."""
    try:
        with qmp.session(directory.events_socket, LONGEST) as session:
            if session.field("query-status", "status") == STATUS:
                return _found(session)
            while True:
                event = session.next_event()
                if event.event == "BLOCK_IO_ERROR" and event.data.get("action") == "stop":
                    return _error_of(event.data.get("nospace"))
    except BackendFailed:
        return None


def _found(session: qmp.Session) -> DiskError:
    """The error of a guest that was halted before this connected."""
    disks = session.execute("query-block")
    known = disks if isinstance(disks, list) else []
    states = {disk.get("io-status") for disk in known if isinstance(disk, dict)}
    return _error_of("failed" not in states)


def _error_of(no_room: object) -> DiskError:
    return DiskError.REFUSED if no_room is False else DiskError.NO_ROOM
