"""The state of the current engine, as one word and one sentence, for the status bar, the banner,
the tray and the engine's page.
"""

from dataclasses import dataclass

from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.prefs import Prefs
from desktop.session.connection import Connection, Reach
from desktop.session.link import EngineRequest, Link, boot_step
from vm.types import MachineState, Status


@dataclass(frozen=True)
class EngineState:
    """`dot` as in `desktop/widgets/list/row_delegate.py`. `action`: "start", "retry", "replace" or
    "". `answers`: requests are served."""

    dot: str
    word: str
    text: str
    hint: str = ""
    action: str = ""
    answers: bool = False


def engine_state(link: Link, connection: Connection) -> EngineState:
    if connection.is_ours and link.requested is not None:
        return _requested(link.requested, connection.is_up)
    if connection.is_up:
        if connection.is_kept:
            return _auto_suspended(link)
        if connection.is_asleep:
            return _paused()
        return EngineState("running", tr("running"), tr("Engine running"), answers=True)
    if not connection.is_ours:
        return _other(connection)
    if link.status is None:
        if link.problem is None:
            return EngineState("paused", tr("connecting"), tr("Connecting…"))
        wrong_version = link.problem.kind == "VersionMismatch"
        action = "replace" if wrong_version else "retry"
        text, hint = messages.summary(link.problem), messages.hint(link.problem)
        return EngineState("error", tr("unreachable"), text, hint, action)
    return _of_machine(link)


def _requested(request: EngineRequest, is_up: bool) -> EngineState:
    match request:
        case EngineRequest.START:
            return EngineState("paused", tr("starting"), tr("Starting the engine…"), answers=is_up)
        case EngineRequest.STOP:
            return EngineState("paused", tr("stopping"), tr("Stopping the engine…"))
        case EngineRequest.RESTART:
            return EngineState("paused", tr("restarting"), tr("Restarting the engine…"))


def _of_machine(link: Link) -> EngineState:
    assert link.status is not None
    machine = link.status.machine
    match machine.state:
        case MachineState.STARTING:
            step = boot_step(link.status) or tr("Starting")
            return EngineState("paused", tr("starting"), tr("Starting: {step}", step=step))
        case MachineState.STOPPING:
            return EngineState("paused", tr("stopping"), tr("Stopping the engine…"))
        case MachineState.PAUSED:
            return _paused()
        case MachineState.RUNNING:
            if link.status.engine.reachable:
                return EngineState("paused", tr("connecting"), tr("Connecting…"))
            text = tr("The Docker Engine does not answer")
            return EngineState("error", tr("degraded"), text, tr("It restarts automatically."))
        case MachineState.FAILED:
            problem = machine.problem
            text = messages.summary(problem) if problem else tr("The engine did not start.")
            hint = messages.hint(problem) if problem else ""
            return EngineState("error", tr("failed"), text, hint, "start")
        case MachineState.ABSENT:
            hint = tr("Start it to create the virtual machine; this takes a few seconds.")
            return EngineState("exited", tr("not created"), tr("No engine yet"), hint, "start")
    hint = tr("All data is kept. Start the engine to see it.")
    return EngineState("exited", tr("stopped"), tr("Engine stopped"), hint, "start")


def _paused() -> EngineState:
    hint = tr("The engine is idle, and its virtual machine is paused. It resumes on first use.")
    return EngineState("paused", tr("idle"), tr("Resource Saver"), hint, answers=True)


def _auto_suspended(link: Link) -> EngineState:
    """On the disk, or on its way back."""
    if link.state is MachineState.STARTING:
        step = (boot_step(link.status) if link.status else "") or tr("Starting")
        return EngineState(
            "paused", tr("resuming"), tr("Resuming: {step}", step=step), answers=True
        )
    hint = tr(
        "The engine is idle, and its virtual machine is suspended to disk. It resumes on first use."
    )
    return EngineState("paused", tr("idle"), tr("Resource Saver"), hint, answers=True)


def _other(connection: Connection) -> EngineState:
    name = connection.context.name if connection.context else ""
    if connection.reach is Reach.CONNECTING:
        return EngineState("paused", tr("connecting"), tr("Connecting to {name}…", name=name))
    problem = connection.problem
    text = messages.summary(problem) if problem else tr("{name} does not answer", name=name)
    hint = messages.hint(problem) if problem else ""
    return EngineState("error", tr("unreachable"), text, hint, "retry")


def runs_on(machine: Status) -> str:
    """The backend and how it runs the guest: "QEMU with KVM"."""
    backend = {"qemu": "QEMU"}.get(machine.backend, machine.backend)
    name = machine.accelerator.name if machine.accelerator else "none"
    if name == "none":
        return backend
    how = tr("emulation") if name == "tcg" else name.upper()
    return tr("{backend} with {accelerator}", backend=backend, accelerator=how)


def is_first_run(link: Link, connection: Connection, prefs: Prefs) -> bool:
    """The current engine is Galley's own, and never ran before. Without a supervisor, the window's
    own settings decide."""
    if not connection.is_ours:
        return False
    if link.status is None:
        away = link.problem is not None and link.problem.kind != "VersionMismatch"
        return away and not prefs.flag("engine_made")
    made = link.status.machine.state is not MachineState.ABSENT
    if made:
        prefs.set_flag("engine_made", True)
    return not made
