"""What of dockerd's objects, logs and configuration goes into a bundle: a list of what is harmless.

Everything else stays out, known or not: commands, labels, environments and options hold whatever
their users write there. Names stay in: of containers, images, networks, volumes and folders, and of
the programs that run. Next: `bundle.py`, `redact.py`.
"""

import json
import re
from typing import Any

import msgspec

LEFT_OUT = "<left out>"
_DEBUG = re.compile(rb"\blevel=(?:debug|trace)\b|\"level\":\s*\"(?:debug|trace)\"")
# Settings of daemon.json whose text is harmless; numbers and switches are, whatever they set.
_TEXTS = frozenset(
    {
        *("bip", "cgroup-parent", "containerd-namespace", "data-root", "default-cgroupns-mode"),
        *("default-ipc-mode", "default-runtime", "default-shm-size", "dns", "dns-search"),
        *("exec-root", "fixed-cidr", "fixed-cidr-v6", "base", "hosts", "insecure-registries", "ip"),
        *("log-driver", "log-format", "log-level", "max-file", "max-size", "mode", "path"),
        *("policy", "defaultKeepStorage", "keepStorage", "storage-driver", "userns-remap"),
    }
)


class Port(msgspec.Struct, omit_defaults=True):
    PrivatePort: int = 0
    PublicPort: int = 0
    Type: str = ""
    IP: str = ""


class Mount(msgspec.Struct, omit_defaults=True):
    Type: str = ""
    Name: str = ""
    Source: str = ""
    Destination: str = ""
    Driver: str = ""
    Mode: str = ""
    RW: bool | None = None
    Propagation: str = ""


class Address(msgspec.Struct, omit_defaults=True):
    NetworkID: str = ""
    Gateway: str = ""
    IPAddress: str = ""
    IPPrefixLen: int = 0
    GlobalIPv6Address: str = ""


class Networked(msgspec.Struct, omit_defaults=True):
    Networks: dict[str, Address] | None = None


class Hosted(msgspec.Struct, omit_defaults=True):
    NetworkMode: str = ""


class Container(msgspec.Struct, omit_defaults=True):
    """Of GET /containers/json."""

    Id: str = ""
    Names: list[str] | None = None
    Image: str = ""
    ImageID: str = ""
    Created: int = 0
    State: str = ""
    Status: str = ""
    Ports: list[Port] | None = None
    HostConfig: Hosted | None = None
    NetworkSettings: Networked | None = None
    Mounts: list[Mount] | None = None


class Subnet(msgspec.Struct, omit_defaults=True):
    Subnet: str = ""
    Gateway: str = ""
    IPRange: str = ""


class Addresses(msgspec.Struct, omit_defaults=True):
    Driver: str = ""
    Config: list[Subnet] | None = None


class Network(msgspec.Struct, omit_defaults=True):
    """Of GET /networks."""

    Name: str = ""
    Id: str = ""
    Created: str = ""
    Scope: str = ""
    Driver: str = ""
    EnableIPv4: bool | None = None
    EnableIPv6: bool | None = None
    Internal: bool | None = None
    Attachable: bool | None = None
    IPAM: Addresses | None = None


class Info(msgspec.Struct, omit_defaults=True):
    """Of GET /info."""

    Containers: int = 0
    ContainersRunning: int = 0
    ContainersPaused: int = 0
    ContainersStopped: int = 0
    Images: int = 0
    Driver: str = ""
    DriverStatus: list[list[str]] | None = None
    MemoryLimit: bool | None = None
    SwapLimit: bool | None = None
    IPv4Forwarding: bool | None = None
    Debug: bool | None = None
    NFd: int = 0
    NGoroutines: int = 0
    SystemTime: str = ""
    LoggingDriver: str = ""
    CgroupDriver: str = ""
    CgroupVersion: str = ""
    KernelVersion: str = ""
    OperatingSystem: str = ""
    OSType: str = ""
    Architecture: str = ""
    NCPU: int = 0
    MemTotal: int = 0
    DockerRootDir: str = ""
    ServerVersion: str = ""
    DefaultRuntime: str = ""
    LiveRestoreEnabled: bool | None = None
    SecurityOptions: list[str] | None = None


class Component(msgspec.Struct):
    Name: str = ""
    Version: str = ""


class Version(msgspec.Struct, omit_defaults=True):
    """Of GET /version."""

    Version: str = ""
    ApiVersion: str = ""
    MinAPIVersion: str = ""
    Os: str = ""
    Arch: str = ""
    KernelVersion: str = ""
    Components: list[Component] | None = None


def log_lines(log: bytes) -> bytes:
    """A log of dockerd or containerd without its debug lines: they hold whole requests, with their
    commands and environments."""
    lines = log.splitlines(keepends=True)
    kept = [line for line in lines if not _DEBUG.search(line)]
    left_out = len(lines) - len(kept)
    return b"".join(kept) + (b"%d debug lines are left out.\n" % left_out if left_out else b"")


def daemon_config(text: bytes) -> bytes:
    """daemon.json with the values that are harmless."""
    try:
        return json.dumps(_shown(json.loads(text), is_text_fine=False), indent=2).encode()
    except (ValueError, RecursionError):  # daemon_json.py reports the position
        return b"It is no JSON, and left out.\n"


def _shown(value: Any, *, is_text_fine: bool) -> Any:
    if isinstance(value, dict):
        return {name: _shown(its, is_text_fine=name in _TEXTS) for name, its in value.items()}
    if isinstance(value, list):
        return [_shown(its, is_text_fine=is_text_fine) for its in value]
    return LEFT_OUT if isinstance(value, str) and not is_text_fine else value
