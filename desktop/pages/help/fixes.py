"""The buttons for failed checks.

A fix is a task, after which the checks run again; or a link to the page where it is done.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from desktop.actions import engine, settings
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.session.tasks import Task
from vm.errors import Problem

if TYPE_CHECKING:
    from engine.diagnose.run import Result

type Fix = tuple[str, Callable[[], Task | None]]  # the button's text, and what it does


def fix_for(app: AppContext, result: "Result") -> Fix | None:
    """None where only the user can fix it: then the hint says how."""
    problem = result.problem
    if problem is None:
        return None
    from engine.diagnose import docker, host, machine  # already imported: they have made the result

    if result.title == docker.CLIENT.title:
        return _context_fix(app, problem)
    if result.title == machine.IMAGE_AGE.title:
        return engine.update_title(app), partial(engine.update_image, app)
    if result.title == host.AUTOSTART.title:
        return tr("Open the settings"), partial(_go, app, "settings")
    return _fix_by_kind(app, problem.kind)


def _fix_by_kind(app: AppContext, kind: str) -> Fix | None:
    match kind:
        case "SupervisorGone":
            return tr("Start the background process"), partial(engine.start, app)
        case "VersionMismatch":
            return tr("Restart the background process"), partial(engine.replace_supervisor, app)
        case "EngineUnreachable" | "EngineFailed" | "GuestUnreachable" | "MachineError":
            return tr("Restart the engine"), partial(engine.restart, app)
        case "ImageDamaged":
            waits = engine.waits_for_restart(app)
            title = engine.update_title(app) if waits else tr("Get the image again")
            return title, partial(engine.update_image, app)
        case "NotEnough" | "SettingsError" | "PortInUse":
            return tr("Open the settings"), partial(_go, app, "settings")
        case "DiskFull":
            return tr("Show disk usage"), partial(_go, app, "engine")
    return None


def _context_fix(app: AppContext, problem: Problem) -> Fix | None:
    if problem.kind != "HostError" or os.environ.get("DOCKER_HOST"):
        return None
    return tr("Use Galley's docker context"), partial(settings.use_docker_context, app)


def _go(app: AppContext, page: str) -> None:
    app.window.go(page)
