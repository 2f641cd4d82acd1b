"""Host ports that QEMU's own network carries, changed at run time through its human monitor.

May import: `vm` values, `vm.host.net`, `qmp.py`. The monitor has no error codes: its answers are
sentences, and this is the file that reads them. "A port is busy" it does not say, so the host is
asked instead. Next: `qmp.py`.
"""

import errno

from vm.backends.qemu.command import NETDEV
from vm.backends.qemu.qmp import Session
from vm.errors import BackendFailed, GalleyError
from vm.host import net
from vm.types import Forward


def add(qmp: Session, forward: Forward) -> None:
    """Raises PortInUse, or BackendFailed with QEMU's own words."""
    if ":" in forward.host_address:
        raise BackendFailed(
            f"Port {forward.host_port} cannot be published on {forward.host_address}: "
            "QEMU forwards IPv4 only.",
            "Publish it on an IPv4 address, such as 127.0.0.1 or 0.0.0.0.",
        )
    said = qmp.monitor(f"hostfwd_add {NETDEV} {_host_side(forward)}-:{forward.guest_port}")
    if said and not is_carried(qmp.monitor("info usernet"), forward):
        raise _refused(forward, said)


def remove(qmp: Session, forward: Forward) -> None:
    """Nothing happens when it is not carried."""
    said = qmp.monitor(f"hostfwd_remove {NETDEV} {_host_side(forward)}")
    if not said.endswith(("removed", "not found")):
        raise BackendFailed(f"QEMU did not stop forwarding port {forward.host_port}: {said}")


def is_carried(usernet: str, forward: Forward) -> bool:
    """Whether the listing of `info usernet` has this very forward."""
    address = "*" if forward.host_address in ("", "0.0.0.0") else forward.host_address
    wanted = [
        f"{forward.protocol.upper()}[HOST_FORWARD]",
        address,
        str(forward.host_port),
        str(forward.guest_port),
    ]
    rows = (line.split() for line in usernet.splitlines())
    return any([row[0], row[2], row[3], row[5]] == wanted for row in rows if len(row) > 5)


def _host_side(forward: Forward) -> str:
    return f"{forward.protocol}:{forward.host_address}:{forward.host_port}"


def _refused(forward: Forward, said: str) -> GalleyError:
    address, port, protocol = forward.host_address, forward.host_port, forward.protocol
    reason = net.bind_error(address, port, protocol)
    if reason == errno.EADDRINUSE:
        return net.port_in_use(address, port, protocol)
    if reason == errno.EACCES:
        return BackendFailed(
            f"Port {port}/{protocol} on {address} is reserved for the administrator.",
            "Publish the container on a port from 1024 up; on Linux the first port that everybody "
            "may use is the setting net.ipv4.ip_unprivileged_port_start.",
            details=said,
        )
    return BackendFailed(
        f"Port {port}/{protocol} on {address} cannot be published.",
        "Check that the address belongs to this computer.",
        details=said,
    )
