"""Port forwards of QEMU's user network, changed at run time through its human monitor.

The monitor has no error codes; this module parses its sentences. They do not say that a port is in
use, so this module tries to bind it. Next: `qmp.py`.
"""

import msgspec

from vm.backends.qemu import running
from vm.backends.qemu.command import NETDEV
from vm.backends.qemu.qmp import Session
from vm.capabilities import ForwardsPorts
from vm.directory import MachineDir
from vm.errors import BackendFailed, GalleyError
from vm.host import net
from vm.messages.host import PORT_IPV4_ONLY
from vm.messages.qemu import QEMU_FORWARD_STAYS
from vm.types import Forward

ANY = "0.0.0.0"
LOOPBACK, SSH_PORT = "127.0.0.1", 22


class HostForwards(ForwardsPorts):
    """IPv4 only: the monitor has no syntax for IPv6."""

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        with running.control(directory, running.find_or_raise(directory)) as session:
            add(session, forward)

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        found = running.find(directory)
        if found is not None:
            with running.control(directory, found) as session:
                remove(session, forward)

    def forwarded(self, directory: MachineDir) -> frozenset[Forward]:
        found = running.find(directory)
        if found is None:
            return frozenset()
        with running.control(directory, found) as session:
            return carried(session) - {Forward(LOOPBACK, found.ssh_port, SSH_PORT)}


def add(qmp: Session, forward: Forward) -> None:
    """Raises PortInUse, or BackendFailed with QEMU's message."""
    if ":" in forward.host_address:
        raise BackendFailed(
            PORT_IPV4_ONLY,
            port=forward.host_port,
            address=forward.host_address,
        )
    output = qmp.monitor(f"hostfwd_add {NETDEV} {_host_side(forward)}-:{forward.guest_port}")
    if output and _plain(forward) not in carried(qmp):
        raise _refused(forward, output)


def remove(qmp: Session, forward: Forward) -> None:
    """Does nothing where it is not forwarded."""
    output = qmp.monitor(f"hostfwd_remove {NETDEV} {_host_side(forward)}")
    if not output.endswith(("removed", "not found")):
        raise BackendFailed(QEMU_FORWARD_STAYS, port=forward.host_port, said=output)


def carried(qmp: Session) -> frozenset[Forward]:
    """All current forwards, the ssh port included."""
    return read_listing(qmp.monitor("info usernet"))


def read_listing(text: str) -> frozenset[Forward]:
    """The forwards in the output of `info usernet`, which also lists open connections."""
    rows = (line.split() for line in text.splitlines() if "[HOST_FORWARD]" in line)
    return frozenset(
        Forward(address.replace("*", ANY), int(host_port), int(guest_port), kind[:3].lower())
        for kind, _, address, host_port, _, guest_port, *_ in rows
    )


def _plain(forward: Forward) -> Forward:
    """As QEMU lists it: an empty address is every address."""
    return msgspec.structs.replace(forward, host_address=forward.host_address or ANY)


def _host_side(forward: Forward) -> str:
    return f"{forward.protocol}:{forward.host_address}:{forward.host_port}"


def _refused(forward: Forward, output: str) -> GalleyError:
    address, port, protocol = forward.host_address, forward.host_port, forward.protocol
    code = net.bind_error(address, port, protocol)
    return net.bind_failed(address, port, protocol, code, output)
