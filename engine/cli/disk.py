"""`galley disk`: what uses the data disk, and reclaiming free space.

`Report` is the shape of `--json` and only grows. Looking does not wake the machine. Next:
`engine/monitors/resources.py`.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from engine.cli import reach
from engine.cli.command import Group, json_option
from engine.cli.output import note, say, say_json
from engine.cli.sizes import sized
from engine.control.client import ControlClient
from engine.messages.engine import ENGINE_NOT_RUNNING
from engine.types import EngineStatus, MachineUse, Reclaimed
from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.host.paths import find_home
from vm.types import MachineState

if TYPE_CHECKING:
    from engine.docker.client import DockerClient
    from engine.docker.types import DiskUse

PATIENCE = 600.0  # seconds; dockerd walks every volume


class Report(msgspec.Struct, frozen=True):
    """In bytes; None: not running, so unknown. `…_unused`: what a prune would remove."""

    size: int
    used_on_host: int
    used_in_machine: int | None = None
    available_in_machine: int | None = None
    images: int | None = None
    images_unused: int | None = None
    containers: int | None = None
    containers_unused: int | None = None
    volumes: int | None = None
    volumes_unused: int | None = None
    build_cache: int | None = None
    build_cache_unused: int | None = None
    kept_for_starts: int = 0  # on this computer, beside `used_on_host`


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def disk(context: click.Context, as_json: bool) -> None:
    """Show what uses the machine's disk; `galley disk reclaim` frees unused space."""
    if context.invoked_subcommand is not None:
        return
    kept = MachineDir.of(find_home()).saved_state_bytes()
    report = msgspec.structs.replace(_report(), kept_for_starts=kept)
    say_json(report) if as_json else say(_text(report))


@disk.command()
@click.option(
    "--prune",
    is_flag=True,
    help="First delete dangling images and the build cache.",
)
@json_option
def reclaim(prune: bool, as_json: bool) -> None:
    """Return free space of the machine's disk to this computer."""
    with _running() as (client, seen):
        if prune:
            with _docker(seen) as docker:
                freed = docker.images.prune().bytes + docker.prune_build_cache()
            note(f"Deleted {sized(freed)} of unused images and build cache.")
        given = msgspec.json.decode(client.call("disk.reclaim"), type=Reclaimed)
    if as_json:
        say_json(given)
        return
    freed = max(0, given.before - given.after)
    say(f"Freed {sized(freed)}; the disk uses {sized(given.after)} on this computer.")


def _report() -> Report:
    home = find_home()
    client = reach.running_supervisor()
    if client is None:
        return Report(_size(MachineDir.of(home)), MachineDir.of(home).data_disk_bytes())
    with client:
        seen = client.status()
        machine = seen.machine
        if machine.state is not MachineState.RUNNING:
            return Report(_size(MachineDir.of(home)), machine.disk_used_bytes)
        use = msgspec.json.decode(client.call("use"), type=MachineUse)
    if not seen.engine.reachable:
        return _joined(use, machine.disk_bytes, None)
    with _docker(seen) as docker:
        return _joined(use, machine.disk_bytes, docker.disk_use())


def _size(directory: MachineDir) -> int:
    return directory.data_disk.stat().st_size if directory.data_disk.exists() else 0


def _joined(use: MachineUse, size: int, held: "DiskUse | None") -> Report:
    known = (size, use.disk_on_host, use.disk.used, use.disk.available)
    if held is None:
        return Report(*known)
    return Report(
        *known,
        images=held.images,
        images_unused=held.reclaimable_images,
        containers=held.containers,
        containers_unused=held.reclaimable_containers,
        volumes=held.volumes,
        volumes_unused=held.reclaimable_volumes,
        build_cache=held.build_cache,
        build_cache_unused=held.reclaimable_build_cache,
    )


@contextlib.contextmanager
def _running() -> Iterator[tuple[ControlClient, EngineStatus]]:
    """Resumes a paused machine, and keeps it awake until the end. Raises NoMachine."""
    client = reach.running_supervisor()
    if client is None:
        raise NoMachine(ENGINE_NOT_RUNNING)
    with client:
        client.call("keep_awake")
        yield client, client.status()


@contextlib.contextmanager
def _docker(seen: EngineStatus) -> "Iterator[DockerClient]":
    from engine.docker.client import DockerClient  # the SDK is slow to load
    from engine.dockercli.endpoint import Endpoint

    with contextlib.closing(DockerClient(Endpoint("galley", seen.endpoint), PATIENCE)) as docker:
        yield docker


def _text(report: Report) -> str:
    if not report.size:
        return "There is no machine yet: galley start makes one."
    rows = [
        ("Size", f"{sized(report.size)} at most; `galley settings set disk` makes it larger"),
        ("Computer", f"{sized(report.used_on_host)} of this computer's disk"),
        ("Starts", f"{sized(report.kept_for_starts)} more of it, so that they are quick"),
    ]
    if report.used_in_machine is not None and report.available_in_machine is not None:
        left = sized(report.available_in_machine)
        rows.append(("Machine", f"{sized(report.used_in_machine)} used, {left} left"))
    parts = (
        ("Images", report.images, report.images_unused),
        ("Containers", report.containers, report.containers_unused),
        ("Volumes", report.volumes, report.volumes_unused),
        ("Cache", report.build_cache, report.build_cache_unused),
    )
    for name, held, unused in parts:
        if held is not None:
            words = f", {sized(unused)} of it not in use" if unused else ""
            rows.append((name, f"{sized(held)}{words}"))
    return "\n".join(f"{name:<10} {value}" for name, value in rows)
