"""`galley status`: from the supervisor, or from the backend where no supervisor runs.

`Report` is the shape of `--json`; it only grows.
"""

import sys
from datetime import UTC, datetime

import click
import msgspec

from engine.cli import reach
from engine.cli.command import Command, json_option
from engine.cli.output import (
    BOLD,
    DIM,
    GREEN,
    RED,
    YELLOW,
    counted,
    problem_text,
    say,
    say_json,
    styled,
)
from engine.cli.sizes import sized
from engine.control.client import ControlClient
from engine.types import EngineHealth, EngineStatus, ImageStatus, MachineUse
from vm.directory import MachineDir
from vm.errors import GalleyError, MachineError, Problem
from vm.host.paths import find_home
from vm.types import Accelerator, BootStep, MachineState

GIB = 1024**3
COLOURS = {MachineState.RUNNING: GREEN, MachineState.FAILED: RED, MachineState.STARTING: YELLOW}


class Vm(msgspec.Struct, frozen=True):
    cpus: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    disk_used_bytes: int = 0
    share_by: str = ""  # what folders are shared by
    use: MachineUse | None = None  # what a running machine holds now


class Report(msgspec.Struct, frozen=True):
    """What `galley status --json` prints."""

    state: MachineState
    backend: str
    accelerator: Accelerator | None
    endpoint: str
    engine: EngineHealth
    vm: Vm
    boot: tuple[BootStep, ...]
    problems: tuple[Problem, ...]
    supervisor: bool  # whether the background process runs
    started_at: float | None = None
    resumable: bool = False  # stopped, and the next start goes on where it was
    auto_suspended: bool = False  # stopped by the resource saver: its first use brings it back
    image: ImageStatus | None = None  # the guest image, if the background process runs


@click.command(cls=Command)
@json_option
def status(as_json: bool) -> None:
    """Show what is running. Starts nothing; exits with 0 in any state."""
    client = reach.running_supervisor()
    if client is None:
        report = _observed()
    else:
        with client:
            seen = client.status()
            report = _from_supervisor(seen, _use(client, seen))
    say_json(report) if as_json else say(_text(report))


def _use(client: ControlClient, seen: EngineStatus) -> MachineUse | None:
    """None if the machine does not answer; a paused machine is not woken for it."""
    if seen.machine.state is not MachineState.RUNNING:
        return None
    try:
        return msgspec.json.decode(client.call("use"), type=MachineUse)
    except MachineError:
        return None


def _from_supervisor(seen: EngineStatus, use: MachineUse | None) -> Report:
    machine = seen.machine
    return Report(
        machine.state,
        machine.backend,
        machine.accelerator,
        seen.endpoint,
        seen.engine,
        Vm(
            machine.cpus,
            machine.memory_bytes,
            machine.disk_bytes,
            machine.disk_used_bytes,
            machine.share_by,
            use,
        ),
        machine.boot,
        seen.problems,
        True,
        machine.started_at,
        machine.resumable,
        seen.auto_suspended,
        seen.image,
    )


def _observed() -> Report:
    """Without a supervisor: what the backend observes; the machine may run without one."""
    from engine.dockercli.context import endpoint
    from engine.settings.store import SettingsStore

    home = find_home()
    state, name, accelerator = MachineState.STOPPED, "", None
    problems: tuple[Problem, ...] = ()
    size, resumable, auto_suspended = Vm(), False, False
    try:
        problems = SettingsStore(home).current().problems
        backend, directory = reach.chosen_backend(home), MachineDir.of(home)
        seen = backend.observe(directory)
        stopped = seen.state is MachineState.STOPPED
        suspends = backend.suspends if stopped else None
        resumable = suspends is not None and suspends.is_suspended(directory)
        auto_suspended = stopped and directory.auto_suspended.exists()
        state, name, accelerator = seen.state, backend.name, seen.accelerator
        if seen.spec is not None:
            spec = seen.spec
            size = Vm(spec.cpus, spec.memory_bytes, spec.disk_bytes, share_by=seen.share_by)
    except GalleyError as error:
        problems = (*problems, error.to_problem())
    size = msgspec.structs.replace(size, disk_used_bytes=MachineDir.of(home).data_disk_bytes())
    return Report(
        state=state,
        backend=name,
        accelerator=accelerator,
        endpoint=endpoint(home),
        engine=EngineHealth(False),
        vm=size,
        boot=(),
        problems=problems,
        supervisor=False,
        resumable=resumable,
        auto_suspended=auto_suspended,
    )


def _text(report: Report) -> str:
    out = sys.stdout
    rows = [("State", styled(_state(report), COLOURS.get(report.state, BOLD), out))]
    if report.engine.reachable:
        rows.append(("Engine", f"Docker {report.engine.version}, API {report.engine.api}"))
    rows.append(("Endpoint", report.endpoint))
    if report.vm.cpus:
        memory, disk = report.vm.memory_bytes / GIB, report.vm.disk_bytes / GIB
        rows.append(
            ("Machine", f"{counted(report.vm.cpus, 'CPU')}, {memory:.3g} GiB, disk {disk:.3g} GiB")
        )
    use = report.vm.use
    if use is not None:
        inside, containers = use.memory.total - use.memory.available, use.memory.containers
        rows.append(("Memory", f"{sized(use.memory_on_host)} on this computer"))
        rows.append(("", f"{sized(inside)} used inside, {sized(containers)} by containers"))
    if report.vm.disk_used_bytes:
        rows.append(("Disk used", f"{report.vm.disk_used_bytes / GIB:.2f} GiB on this computer"))
    if report.vm.share_by:
        rows.append(("Folders", f"shared by {report.vm.share_by}"))
    if report.image is not None:
        rows.append(("Image", _image(report.image)))
    if report.backend:
        rows.append(("Backend", _backend(report)))
    lines = [f"{styled(f'{name:<10}', DIM, out)} {value}" for name, value in rows]
    lines += [problem_text(problem, details=False, stream=out) for problem in report.problems]
    return "\n".join(lines)


def _state(report: Report) -> str:
    if report.state is MachineState.PAUSED:
        return f"paused by Resource Saver: {_resumes(report)}"
    if report.state is MachineState.RUNNING and not report.supervisor:
        return "running, but Galley's background process is not: run galley start"
    if report.state is MachineState.RUNNING and not report.engine.reachable:
        return "running, but the engine does not answer"
    if report.state is MachineState.STARTING and report.boot:
        return f"starting: {report.boot[-1].step}"
    if report.auto_suspended:
        return f"suspended to disk by Resource Saver: {_resumes(report)}"
    if report.resumable:
        return "suspended; the next start resumes it"
    if report.state is MachineState.ABSENT:
        return "no machine yet: galley start creates one"
    return str(report.state)


def _resumes(report: Report) -> str:
    """What resumes an idle engine. Without the supervisor, its first use does not."""
    return "the first use resumes it" if report.supervisor else "galley start resumes it"


def _image(image: ImageStatus) -> str:
    """How old its packages are, and what is known of newer ones."""
    age = (datetime.now(UTC) - datetime.fromisoformat(image.date)).days
    words = f"{image.channel}, packages of {image.date[:10]} ({counted(max(age, 0), 'day')} old)"
    if image.checked:
        words = f"{words}, checked on {image.checked[:10]}"
    if image.waiting:
        return f"{words}; the next cold start uses those of {image.waiting[:10]}"
    if image.updates:
        newer = counted(image.updates, "newer package")
        return f"{words}; {newer}, {counted(len(image.cves), 'CVE')} fixed: galley image update"
    return words


def _backend(report: Report) -> str:
    if report.accelerator is None:
        return report.backend
    return f"{report.backend}, {report.accelerator.name}: {report.accelerator.reason}"
