"""The actions on Galley's own machine: which are possible now, and why others are not."""

from dataclasses import dataclass

from desktop.i18n.text import tr
from desktop.session.link import EngineRequest
from engine.types import EngineStatus
from vm.types import MachineState


@dataclass(frozen=True)
class Verbs:
    """For each button the reason why it cannot be pressed; "" when it can."""

    start: str = ""
    restart: str = ""
    stop: str = ""


def verbs(status: EngineStatus | None, requested: EngineRequest | None = None) -> Verbs:
    """`requested`: as `Link.requested`."""
    if requested is not None:
        is_start = requested is EngineRequest.START
        reason = tr("It is starting.") if is_start else tr("It is stopping.")
        return Verbs(reason, reason, reason)
    if status is None:
        away = tr("Galley's background process does not answer.")
        return Verbs(away, away, away)
    match status.machine.state:
        case MachineState.RUNNING:
            # Of a machine that lacks its engine, start brings what is missing.
            whole = status.machine.problem is None
            return Verbs(start=tr("The engine is already running.") if whole else "")
        case MachineState.STARTING:
            starting = tr("It is starting.")
            return Verbs(starting, starting)
        case MachineState.STOPPING:
            stopping = tr("It is stopping.")
            return Verbs(stopping, stopping, stopping)
        case MachineState.PAUSED | MachineState.FAILED:
            return Verbs()
        case MachineState.STOPPED if status.auto_suspended:
            return Verbs()  # stopped, it is no longer brought back by its first use
    idle = tr("It is not running.")
    return Verbs(restart=idle, stop=idle)
