"""Targets of a channel, as the guest's agent reads them: `targets.h` beside `relay.c`.

A Unix socket is named by its path. An agent refuses what it does not know: EPROTONOSUPPORT, or
ENOENT from version 1, which takes every target for a path.
"""

import ipaddress

SSH = "ssh"  # an sshd of its own; the channel is its stdin and stdout


def tcp(address: str, port: int) -> str:
    """A TCP connection from inside the guest. `address` is IPv4 or IPv6, as numbers. Raises
    ValueError."""
    if not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no TCP port")
    return f"tcp {ipaddress.ip_address(address)} {port}"
