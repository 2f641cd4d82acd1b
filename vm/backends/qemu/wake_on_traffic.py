"""Reports network traffic that arrives for a paused guest.

QEMU mirrors what the network sends to the guest (filter-mirror, in QEMU's manual "Network device
emulation") to a socket: each frame after four bytes with its length. Each wait adds and removes the
mirror, so a running machine has none. Next: `engine/ports/wake_on_traffic.py`.
"""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable

from vm.backends.qemu import qmp, running
from vm.backends.qemu.command import NETDEV
from vm.backends.qemu.running import Running
from vm.capabilities import WakesOnTraffic
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.messages.qemu import QEMU_NO_PACKETS

NAME = "knock"  # in a QEMU that an earlier version started, too
CONNECT = 5.0  # seconds
LENGTH = struct.Struct("!I")
LONGEST = 1 << 20  # bytes of a frame; of QEMU's network none is longer than 64 KiB
TYPE_AT = 12  # in a frame, after two addresses
IPV6 = b"\x86\xdd"  # QEMU's router advertisements, which are no traffic


class TrafficMirror(WakesOnTraffic):
    """See `vm.capabilities.WakesOnTraffic`."""

    def wait(self, directory: MachineDir, listening: Callable[[], None]) -> bool:
        found = running.find(directory)
        return found is not None and wait_for_frame(directory, found, listening)


def wait_for_frame(directory: MachineDir, found: Running, listening: Callable[[], None]) -> bool:
    """Wait for a frame to the guest: True, or False when QEMU ends the mirror. `listening` is
    called when every frame from then on counts. Raises BackendFailed."""
    try:
        with contextlib.closing(_mirror(directory, found)) as frames:
            listening()
            return _wait_for_any_frame(frames)
    except OSError as error:
        raise BackendFailed(QEMU_NO_PACKETS, details=str(error)) from error
    finally:
        with contextlib.suppress(BackendFailed), running.control(directory, found) as session:
            _remove_mirror(session)
        directory.traffic_socket.unlink(missing_ok=True)


def _mirror(directory: MachineDir, found: Running) -> socket.socket:
    path = directory.traffic_socket
    address = {"type": "unix", "data": {"path": str(path)}}
    listens = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
    filters = {"netdev": NETDEV, "queue": "tx", "outdev": NAME}
    with running.control(directory, found) as session:
        _remove_mirror(session)  # a supervisor that died may have left one
        path.unlink(missing_ok=True)
        session.execute("chardev-add", id=NAME, backend=listens)
        os.chmod(path, 0o600)
        connection = qmp.connect_to(path, time.monotonic() + CONNECT)
        session.execute("object-add", **{"qom-type": "filter-mirror", "id": NAME, **filters})
    connection.settimeout(None)
    return connection


def _remove_mirror(session: qmp.Session) -> None:
    for command in ("object-del", "chardev-remove"):
        with contextlib.suppress(BackendFailed):  # there is none
            session.execute(command, id=NAME)


def _wait_for_any_frame(frames: socket.socket) -> bool:
    with frames.makefile("rb") as stream:
        while len(head := stream.read(LENGTH.size)) == LENGTH.size:
            (length,) = LENGTH.unpack(head)
            if length > LONGEST:
                return False
            frame = stream.read(length)
            if len(frame) == length and frame[TYPE_AT : TYPE_AT + len(IPV6)] != IPV6:
                return True
    return False
