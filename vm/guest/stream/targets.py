"""Targets of a channel, as the guest's agent reads them: `targets.h` beside `relay.c`.

A Unix socket is named by its path. An agent refuses what it does not know: EPROTONOSUPPORT, or
ENOENT from version 1, which takes every target for a path.
"""

import ipaddress

SSH = "ssh"  # an sshd of its own; the channel is its stdin and stdout


def tcp(address: str, port: int) -> str:
    """A TCP connection from inside the guest. `address` is IPv4 or IPv6, as numbers. Raises
    ValueError."""
    return f"tcp {_endpoint(address, port)}"


def udp(address: str, port: int) -> str:
    """A UDP address as the guest reaches it; `datagrams.py` reads and writes the channel. Raises
    ValueError."""
    return f"udp {_endpoint(address, port)}"


def _endpoint(address: str, port: int) -> str:
    if not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no port")
    return f"{ipaddress.ip_address(address)} {port}"
