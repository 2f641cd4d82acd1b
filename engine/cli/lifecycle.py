"""`galley start`, `stop`, `suspend`, `restart`, `quit` and `delete`.

Each calls the supervisor and waits for the result; `output.py` shows errors. Next: `boot_view.py`
(shows a start), `engine/engine.py` (does it).
"""

import sys
import time
from pathlib import Path

import click

from engine.cli import reach
from engine.cli.boot_view import boot_view
from engine.cli.command import Command
from engine.cli.output import note, say
from engine.client.launch import end_supervisor, restart_supervisor
from engine.control.client import ControlClient
from engine.control.protocol import StartParams, StopParams
from engine.messages.cli import MACHINE_NONE_TO_DELETE, START_CANCELLED_STOPPED
from engine.types import EngineStatus
from vm.directory import MachineDir
from vm.errors import Cancelled, NoMachine
from vm.host.paths import find_home, make_home
from vm.types import MachineState

GONE = (MachineState.STOPPED, MachineState.ABSENT)
SETTLE_PATIENCE = 60.0  # seconds for a cancelled start, or a machine that is taken over


@click.command(cls=Command)
@click.option("--repair", is_flag=True, help="Check and repair the data disk before it is used.")
@click.option(
    "--trace",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write where the time goes to this file, for Perfetto or chrome://tracing.",
)
def start(repair: bool, trace: Path | None) -> None:
    """Start the engine; the first time, create its virtual machine.

    On a running engine, apply changed proxies, certificates and daemon.json.
    Ctrl+C cancels the start and leaves the machine stopped.
    """
    params = StartParams(repair, _place_of(trace) if trace else "")
    with reach.supervisor() as client:
        if _is_ready(client.status()) and not repair:
            client.call("start", params)  # applies what has changed on this computer
            say("The engine is already running.")
            return
        boot(client, "start", params)


@click.command(cls=Command)
@click.option("--cold", is_flag=True, help="Power the machine off: the next start boots it.")
def stop(cold: bool) -> None:
    """Stop containers and the virtual machine. All data is kept.

    The machine is suspended with an idle engine, so that the next start is instant.
    """
    client = _supervisor_of_running()
    if client is None:
        say("The engine is not running.")
        return
    with client:
        seen = client.status()
        machine = seen.machine
        if machine.state in GONE and not (cold and machine.resumable):
            if seen.auto_suspended:
                client.call("stop", StopParams())  # else its next use resumes it
            say("The engine is not running.")
            return
        note("Stopping …")
        client.call("stop", StopParams(cold))
    say("Stopped.")


@click.command(cls=Command)
def suspend() -> None:
    """Suspend the machine to disk; the next start resumes it.

    Its containers are frozen until then, and no process is left. After an update of QEMU, or a
    change of settings that needs a restart, the machine boots instead, as after a power failure.
    """
    with reach.supervisor() as client:
        seen = client.status()
        machine = seen.machine
        if machine.state in GONE:
            if seen.auto_suspended:
                client.call("stop", StopParams())  # else its next use resumes it
            say(
                "The engine is already suspended."
                if machine.resumable
                else "The engine is not running."
            )
            return
        note("Suspending …")
        client.call("suspend")
    say("Suspended.")


@click.command(cls=Command)
@click.option(
    "--supervisor",
    is_flag=True,
    help="Replace only Galley's background process; the machine and its containers run on.",
)
def restart(supervisor: bool) -> None:
    """Stop the engine and start it again, with the current settings."""
    if supervisor:
        with restart_supervisor(make_home(find_home())) as client:
            state = _settled(client)
        say(f"Galley's background process was replaced. The machine is {state}.")
        return
    with reach.supervisor() as client:
        boot(client, "restart", None)


@click.command(cls=Command, name="quit")
def quit_command() -> None:
    """Stop the engine and end Galley's background process.

    `galley stop` keeps that process, so that the next start is faster.
    """
    client = _supervisor_of_running()
    if client is None:
        say("Galley is not running.")
        return
    with client:
        client.call("stop")
        end_supervisor(client)
    say("Stopped. Galley is not running any more.")


@click.command(cls=Command)
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(yes: bool) -> None:
    """Delete the virtual machine with all images, containers, volumes and snapshots."""
    with reach.supervisor() as client:
        seen = client.status()
        if seen.machine.state is MachineState.ABSENT:
            raise NoMachine(MACHINE_NONE_TO_DELETE)
        if not yes:
            _ask(seen.machine.disk_used_bytes, len(seen.snapshots))
        client.call("delete")
    say("Deleted. `galley start` creates a new, empty one.")


def _ask(used: int, snapshots: int) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Standard input is no terminal: add --yes to delete.")
    note(
        "This deletes the virtual machine with every image, container, volume and build cache\n"
        f"in it ({used / 1024**3:.1f} GiB on this disk), its snapshots ({snapshots}), and the\n"
        "docker context `galley`.\n"
        "Settings, the guest image and the logs are kept. You cannot undo this."
    )
    click.confirm("Delete it?", abort=True, err=True)


def boot(client: ControlClient, method: str, params: object) -> None:
    """Call a method that starts the machine, and show the start."""
    began = time.monotonic()
    try:
        with boot_view() as view:
            client.call(method, params, view.update)
    except KeyboardInterrupt:
        cancel()
        raise Cancelled(START_CANCELLED_STOPPED) from None
    seen = client.status()
    say(f"The engine is ready after {time.monotonic() - began:.1f} s: {seen.endpoint}")
    for problem in seen.problems:
        note(f"Note: {problem.summary} {problem.hint}".rstrip())


def cancel() -> None:
    """Cancel over a new connection: the old one was interrupted in the middle of a message."""
    note("Cancelling …")
    client = reach.running_supervisor()
    if client is not None:
        with client:
            client.call("cancel")
            _settled(client)


def _place_of(trace: Path) -> str:
    """The absolute path of the trace; an unwritable one is an error now, not after the start."""
    try:
        trace.touch()
    except OSError as error:
        raise click.UsageError(f"{trace} cannot be written: {error.strerror}.") from error
    return str(trace.absolute())


def _settled(client: ControlClient) -> MachineState:
    """The machine's state once nothing is under way: cancelled, or taken over."""
    until = time.monotonic() + SETTLE_PATIENCE
    now = client.status()
    if not _is_under_way(now):
        return now.machine.state
    for now in client.statuses():
        if not _is_under_way(now) or time.monotonic() > until:
            break
    return now.machine.state


def _is_under_way(seen: EngineStatus) -> bool:
    return seen.machine.state is MachineState.STARTING or seen.snapshot_work is not None


def _is_ready(seen: EngineStatus) -> bool:
    return seen.machine.state is MachineState.RUNNING and seen.engine.reachable


def _supervisor_of_running() -> ControlClient | None:
    """The supervisor; started only if a machine outlived the last one, or is auto-suspended. None:
    nothing runs."""
    client = reach.running_supervisor()
    waits = MachineDir.of(find_home()).auto_suspended.exists()
    if client is not None or (reach.observe().state in GONE and not waits):
        return client
    return reach.supervisor()
