"""Runs an image, and pulls it first if it is missing. Also the `docker run` line for it.

Next: `run_spec.py`, which has it as JSON.
"""

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engine.docker.cancel import Cancel
from engine.docker.types import ANY_PORT, Mount, Port, RunSpec

if TYPE_CHECKING:
    from engine.docker.client import DockerClient

# What it does now, how much of that is done (None: not known), and a TransferProgress or None.
type Report = Callable[[str, float | None, object], object]

MEBIBYTE, GIBIBYTE = 1 << 20, 1 << 30


def run_image(client: "DockerClient", spec: RunSpec, cancel: Cancel, report: Report) -> str:
    """The new container's id. Where it does not start, no container is left behind."""
    if client.containers.image(spec.image) is None:
        for progress in client.images.pull(spec.image, cancel):
            report(f"Pulling {spec.image}", progress.fraction, progress)
    cancel.check()
    report("Starting", None, None)
    return client.containers.run(spec)


def run_command(spec: RunSpec) -> str:
    """`docker run …`, quoted for a shell."""
    entrypoint = spec.entrypoint or ()
    return shlex.join(
        ["docker", "run", "-d", *_options(spec), spec.image, *entrypoint[1:], *spec.command]
    )


def _options(spec: RunSpec) -> Iterator[str]:
    yield from ("--rm",) * spec.auto_remove
    yield from ("-i",) * spec.stdin_open
    yield from ("-t",) * spec.tty
    if spec.restart != "no":
        yield from ("--restart", spec.restart)
    if spec.entrypoint is not None:
        yield from ("--entrypoint", spec.entrypoint[0] if spec.entrypoint else "")
    if spec.memory:
        yield from ("--memory", _memory(spec.memory))
    if spec.cpus:
        yield from ("--cpus", f"{spec.cpus:g}")
    named = {
        "--name": spec.name,
        "--network": spec.network,
        "--workdir": spec.working_dir,
        "--user": spec.user,
    }
    for option, value in named.items():
        if value:
            yield from (option, value)
    for port in spec.ports:
        yield from _port(port)
    for variable in spec.env:
        yield from ("-e", variable)
    for mount in spec.mounts:
        yield from _mount(mount)


def _memory(size: int) -> str:
    for unit, letter in ((GIBIBYTE, "g"), (MEBIBYTE, "m")):
        if size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def _port(port: Port) -> tuple[str, str]:
    inside = str(port.container_port)
    if port.protocol != "tcp":
        inside += f"/{port.protocol}"
    if not port.host_port:
        return "--expose", inside
    outside = "" if port.host_port == ANY_PORT else str(port.host_port)
    if port.host_address:
        address = f"[{port.host_address}]" if ":" in port.host_address else port.host_address
        return "-p", f"{address}:{outside}:{inside}"
    return "-p", f"{outside}:{inside}" if outside else inside


def _mount(mount: Mount) -> tuple[str, str]:
    if mount.kind == "tmpfs":
        return "--tmpfs", mount.target + ":ro" * mount.read_only
    if ":" in mount.source + mount.target:  # which -v would take for its own
        only = ",readonly" * mount.read_only
        return "--mount", f"type={mount.kind},source={mount.source},target={mount.target}{only}"
    parts = [mount.source, mount.target, "ro" * mount.read_only]
    return "-v", ":".join(filter(None, parts))
