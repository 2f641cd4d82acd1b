"""Converts a RunSpec to Docker's JSON and back: HostConfig and Config of POST /containers/create.

Dictionaries here are Docker's JSON. Next: `recreate.py`, which changes only the parts of a
container's configuration that a new spec changes.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from engine.docker.types import ANY_PORT, Mount, Port, RunSpec

type Json = dict[str, Any]


def creation(spec: RunSpec) -> Json:
    """The body of POST /containers/create; what `spec` leaves open is left out."""
    config: Json = {
        "Image": spec.image,
        "Cmd": list(spec.command) or None,
        "Entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "Env": list(spec.env) or None,
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "ExposedPorts": {key(port): {} for port in spec.ports},
    }
    host: Json = {
        "PortBindings": bindings(spec.ports),
        "Mounts": [mount_entry(mount) for mount in spec.mounts],
        "NetworkMode": spec.network or "default",
        "RestartPolicy": {"Name": spec.restart},
        "AutoRemove": spec.auto_remove,
        "Memory": spec.memory,
        "NanoCpus": nano_cpus(spec.cpus),
    }
    return {**config, "HostConfig": host}


def nano_cpus(cpus: float) -> int:
    return round(cpus * 1e9)


def key(port: Port) -> str:
    return f"{port.container_port}/{port.protocol}"


def bindings(ports: Iterable[Port]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for port in ports:
        if port.host_port:
            found.setdefault(key(port), []).append(binding(port))
    return found


def binding(port: Port) -> Json:
    chosen = "" if port.host_port == ANY_PORT else str(port.host_port)
    return {"HostIp": port.host_address, "HostPort": chosen}


def bound_ports(host: Json) -> Iterator[tuple[Port, str, Json]]:
    """Each published port with where it stands: its key and its binding."""
    for name, entries in (host.get("PortBindings") or {}).items():
        number, _, protocol = name.partition("/")
        for entry in entries or [{}]:
            host_port = entry.get("HostPort") or "0"
            fixed = int(host_port) if host_port.isdigit() else 0
            fixed = fixed or ANY_PORT  # a range is left to Docker too
            address = entry.get("HostIp") or ""
            yield Port(int(number), protocol or "tcp", address, fixed), name, entry


def exposed_ports(exposed: Json | None) -> set[Port]:
    found = set()
    for name in exposed or {}:
        number, _, protocol = name.partition("/")
        with contextlib.suppress(ValueError):  # an image may have any text: "8000-8010/tcp"
            found.add(Port(int(number), protocol or "tcp"))
    return found


def mount_entry(mount: Mount) -> Json:
    return {
        "Type": mount.kind,
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }


def bind_mount(bind: str) -> Mount:
    """`source:target[:options]` of HostConfig.Binds. A source without a slash names a volume."""
    source, _, rest = bind.partition(":")
    if len(source) == 1 and rest[:1] in ("\\", "/"):  # C:\ of a client on Windows
        drive_path, _, rest = rest.partition(":")
        source = f"{source}:{drive_path}"
    target, _, options = rest.partition(":")
    kind = "bind" if source[:1] in ("/", ".", "~", "\\") or ":" in source else "volume"
    return Mount(kind, source, target, "ro" in options.split(","))


def listed_mount(entry: Json) -> Mount:
    """An element of HostConfig.Mounts."""
    return Mount(
        entry["Type"], entry.get("Source") or "", entry["Target"], bool(entry.get("ReadOnly"))
    )


def tmpfs_mount(target: str, options: str) -> Mount:
    return Mount("tmpfs", "", target, "ro" in options.split(","))


def mounts(host: Json) -> tuple[Mount, ...]:
    """In the three forms that Docker has for them."""
    return (
        *(bind_mount(bind) for bind in host.get("Binds") or ()),
        *(listed_mount(entry) for entry in host.get("Mounts") or ()),
        *(tmpfs_mount(*item) for item in (host.get("Tmpfs") or {}).items()),
    )


def spec_of(container: Json, image: Json | None) -> RunSpec:
    """The RunSpec of a container, without what comes from the image.

    `container` and `image` are responses of inspect; without an image (None, when it is gone) the
    spec has everything.
    """
    config, host, given = container["Config"], container["HostConfig"], (image or {}).get("Config")
    given = given or {}

    def own(field: str) -> Any:
        value = config.get(field)
        return None if value == given.get(field) else value

    exposed = exposed_ports(config.get("ExposedPorts")) - exposed_ports(given.get("ExposedPorts"))
    published = {port for port, _, _ in bound_ports(host)}
    taken = {key(port) for port in published}
    entrypoint = own("Entrypoint")
    network = host.get("NetworkMode") or ""
    return RunSpec(
        image=config["Image"],
        name=container["Name"].lstrip("/"),
        command=tuple(own("Cmd") or ()),
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        env=tuple(one for one in config.get("Env") or () if one not in (given.get("Env") or ())),
        ports=tuple(sorted(published | {port for port in exposed if key(port) not in taken})),
        mounts=mounts(host),
        network="" if network in ("default", "bridge") else network,
        restart=(host.get("RestartPolicy") or {}).get("Name") or "no",
        memory=max(host.get("Memory") or 0, 0),
        cpus=max(host.get("NanoCpus") or 0, 0) / 1e9,
        working_dir=own("WorkingDir") or "",
        user=own("User") or "",
        tty=bool(config.get("Tty")),
        stdin_open=bool(config.get("OpenStdin")),
        auto_remove=bool(host.get("AutoRemove")),
    )
