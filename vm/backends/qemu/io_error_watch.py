"""A machine that stands still because this computer's disk took no more, as QEMU tells it.

QEMU stops the guest at a write that fails (`werror=stop` in `command.py`), which then waits instead
of losing anything. Next: `engine/monitors/host_disk_space.py`.
"""

from vm.backends.qemu import qmp, running
from vm.capabilities import WatchesDiskErrors
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host import process
from vm.types import DiskError

STATUS = "io-error"
LONGEST = 86400.0  # seconds; then the socket is connected to anew


class IoErrorWatch(WatchesDiskErrors):
    """QEMU tells on a control socket of its own, which is connected to again when it closes."""

    def wait(self, directory: MachineDir) -> DiskError | None:
        while (found := running.find(directory)) is not None:
            tells = directory.events_socket.exists()  # else an older Galley has started it
            if tells and (error := wait_for_error(directory)) is not None:
                return error
            process.wait_gone(found.identity, 1.0 if tells else None)
        return None

    def resume(self, directory: MachineDir) -> None:
        found = running.find(directory)
        if found is not None:
            with running.control(directory, found) as session:
                if session.field("query-status", "status") == STATUS:
                    session.execute("cont")


def wait_for_error(directory: MachineDir) -> DiskError | None:
    """Until QEMU has stopped the guest for it, and why; None when it tells no more."""
    try:
        with qmp.session(directory.events_socket, LONGEST) as session:
            if session.field("query-status", "status") == STATUS:
                return _found(session)
            while True:
                event = session.next_event()
                if event.event == "BLOCK_IO_ERROR" and event.data.get("action") == "stop":
                    return _told(event.data.get("nospace"))
    except BackendFailed:
        return None


def _found(session: qmp.Session) -> DiskError:
    """Of a guest that was stopped before anybody listened."""
    disks = session.execute("query-block")
    known = disks if isinstance(disks, list) else []
    said = {disk.get("io-status") for disk in known if isinstance(disk, dict)}
    return _told("failed" not in said)


def _told(no_room: object) -> DiskError:
    return DiskError.REFUSED if no_room is False else DiskError.NO_ROOM
