"""Ports of this computer: finds a free one, and the program that uses one."""

import errno
import os
import socket
from collections.abc import Collection

import psutil

from vm.errors import BackendFailed, GalleyError, PortInUse
from vm.messages import Text
from vm.messages.host import (
    PORT_FOR_ADMINISTRATOR,
    PORT_HOLDER,
    PORT_HOLDER_HIDDEN,
    PORT_IN_USE,
    PORT_KEPT_BY_WINDOWS,
    PORT_NOT_PUBLISHED,
)

EVERY_ADDRESS = ("0.0.0.0", "::")


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that is free now. Another program may take it: bind it, and try again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def is_free(address: str, port: int, protocol: str = "tcp") -> bool:
    return bind_error(address, port, protocol) not in (errno.EADDRINUSE, errno.EACCES)


def taken(addresses: Collection[str], ports: range, protocol: str = "tcp") -> set[int]:
    """Those of `ports` that are in use on one of `addresses`, or on every address."""
    try:
        connections = psutil.net_connections(protocol)
    except psutil.AccessDenied:  # some systems hide other users' programs
        return {
            port
            for port in ports
            if not all(is_free(address, port, protocol) for address in addresses)
        }
    where = {*addresses, *EVERY_ADDRESS}
    is_everywhere = any(address in EVERY_ADDRESS for address in addresses)
    return {
        held.laddr.port
        for held in connections
        if held.laddr
        and held.laddr.port in ports
        and (protocol == "udp" or held.status == psutil.CONN_LISTEN)
        and (is_everywhere or held.laddr.ip in where)
    }


def bind_error(address: str, port: int, protocol: str = "tcp") -> int | None:
    """The errno of binding the port, None when it succeeds. EINVAL for an invalid address or
    port."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if protocol == "tcp" and os.name == "posix":  # elsewhere it would share a port in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno
    except (OverflowError, TypeError, ValueError):  # a port above 65535, a NUL, a bad name
        return errno.EINVAL
    return None


def has_ipv6() -> bool:
    """Whether this computer has the IPv6 loopback address."""
    return bind_error("::1", 0) is None


def is_with(pid: int, near: socket.socket) -> bool:
    """Whether the other end of this local TCP connection belongs to the process. The port alone
    proves nothing: another address may have the same one. Raises OSError when the connection is
    lost."""
    theirs, ours = near.getpeername()[:2], near.getsockname()[:2]
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.laddr == theirs and one.raddr == ours for one in connections)


def holder(address: str, port: int, protocol: str = "tcp") -> Text:
    """The program that uses the port, as "nginx (pid 12)"; "another program" where that is not
    visible."""
    others = {address, *EVERY_ADDRESS}
    try:
        connections = psutil.net_connections(protocol)
    except psutil.AccessDenied:
        return PORT_HOLDER_HIDDEN.text()
    for connection in connections:
        listening = protocol == "udp" or connection.status == psutil.CONN_LISTEN
        if not listening or not connection.laddr or connection.laddr.port != port:
            continue
        if connection.pid and (address in EVERY_ADDRESS or connection.laddr.ip in others):
            try:
                name = psutil.Process(connection.pid).name()
                return PORT_HOLDER.text(program=name, pid=connection.pid)
            except psutil.NoSuchProcess:
                continue
    return PORT_HOLDER_HIDDEN.text()


def port_in_use(address: str, port: int, protocol: str = "tcp") -> PortInUse:
    return PortInUse(
        PORT_IN_USE,
        port=port,
        protocol=protocol,
        address=address,
        holder=holder(address, port, protocol),
    )


def bind_failed(
    address: str, port: int, protocol: str, code: int | None, details: str
) -> GalleyError:
    """The error for an errno of `bind`: PortInUse, or BackendFailed with `details`."""
    if code == errno.EADDRINUSE:
        return port_in_use(address, port, protocol)
    if code == errno.EACCES and os.name == "nt":
        return BackendFailed(
            PORT_KEPT_BY_WINDOWS,
            port=port,
            protocol=protocol,
            address=address,
            details=details,
        )
    if code == errno.EACCES:
        return BackendFailed(
            PORT_FOR_ADMINISTRATOR,
            port=port,
            protocol=protocol,
            address=address,
            details=details,
        )
    return BackendFailed(
        PORT_NOT_PUBLISHED,
        port=port,
        protocol=protocol,
        address=address,
        details=details,
    )
