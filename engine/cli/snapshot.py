"""`galley snapshot`: saves and restores the whole machine.

Next: `engine/lifecycle/snapshots.py`.
"""

import sys
import time

import click

from engine.cli import reach
from engine.cli.boot_view import boot_view
from engine.cli.command import Group, json_option
from engine.cli.lifecycle import boot, cancel
from engine.cli.output import note, say, say_json
from engine.control.client import ControlClient
from engine.control.protocol import (
    CreateSnapshotParams,
    RestoreSnapshotParams,
    SnapshotParams,
)
from engine.messages.engine import SNAPSHOT_CANCELLED
from vm.directory import MachineDir
from vm.errors import Cancelled
from vm.host.paths import find_home
from vm.lifecycle import snapshots
from vm.types import MachineSnapshot, MachineState

MIB = 1024**2
UP = (MachineState.RUNNING, MachineState.PAUSED, MachineState.STARTING)


@click.group(cls=Group)
def snapshot() -> None:
    """Save the whole machine, and restore it later.

    A snapshot has everything that Docker has: images, containers, volumes. With --memory, or of a
    suspended machine (galley suspend), it has the memory too, with running containers. It does not
    have folders of this computer.
    """


@snapshot.command()
@click.argument("name")
@click.option(
    "--memory",
    is_flag=True,
    help="Include the memory: containers are frozen meanwhile, and connections to them end.",
)
def create(name: str, memory: bool) -> None:
    """Create a snapshot. The machine keeps running."""
    snapshots.check_name(name)
    began = time.monotonic()
    with reach.supervisor() as client:
        _copy(client, "snapshots.create", CreateSnapshotParams(name, memory))
        made = next(one for one in client.status().snapshots if one.name == name)
    what = f"{_size(made)}, with memory" if made.memory_bytes else _size(made)
    say(f"Created the snapshot {name}: {what}, in {time.monotonic() - began:.1f} s.")
    if not made.settled:
        note("It is crash-consistent only: the machine's file system could not be frozen.")


@snapshot.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the snapshots, the oldest first."""
    found = snapshots.every(MachineDir.of(find_home()))
    if as_json:
        say_json(found)
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        memory = "  with memory" if one.memory_bytes else ""
        say(f"{one.name:<{width}}  {_when(one)}  {_size(one):>10}{memory}")
    if not found:
        say("There are no snapshots. `galley snapshot create NAME` creates one.")


@snapshot.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--cold", is_flag=True, help="Leave out its memory: the machine boots.")
def restore(name: str, yes: bool, cold: bool) -> None:
    """Restore a snapshot. The current state of the machine is lost, unless another snapshot has it.

    The machine is stopped meanwhile, and started again if it was running.
    """
    kept = snapshots.find(MachineDir.of(find_home()), name)
    with reach.supervisor() as client:
        if not yes:
            _ask(kept, cold)
        params = RestoreSnapshotParams(name, cold)
        if client.status().machine.state in UP:
            boot(client, "snapshots.restore", params)
        else:
            _copy(client, "snapshots.restore", params)
    say(f"Restored the machine to {_when(kept)}.")


@snapshot.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete a snapshot. The machine does not change."""
    with reach.supervisor() as client:
        client.call("snapshots.delete", SnapshotParams(name))
    say(f"Deleted the snapshot {name}.")


def _ask(kept: MachineSnapshot, cold: bool) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Standard input is no terminal: add --yes to restore.")
    note(
        f"This restores the machine to {_when(kept)}, with all images, containers and volumes.\n"
        "Later changes are lost. Running containers are stopped."
    )
    if kept.memory_bytes and not cold:
        note("Containers that were running then are resumed, unless you give --cold.")
    click.confirm(f"Restore {kept.name}?", abort=True, err=True)


def _copy(client: ControlClient, method: str, params: object) -> None:
    try:
        with boot_view() as view:
            client.call(method, params, view.update)
    except KeyboardInterrupt:
        cancel()
        raise Cancelled(SNAPSHOT_CANCELLED) from None


def _size(kept: MachineSnapshot) -> str:
    return f"{(kept.used_bytes + kept.memory_bytes) / MIB:.0f} MiB"


def _when(kept: MachineSnapshot) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(kept.made_at))
