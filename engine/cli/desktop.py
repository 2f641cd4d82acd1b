"""`galley desktop`: open the window, or bring the open one to the front.

The window is a separate program that outlives this command. This package may not import it, so it
is started by name. Next: `desktop/app.py`.
"""

import os
import sys
from pathlib import Path

import click

from engine.cli.command import Command
from engine.cli.output import say
from engine.messages.cli import WINDOW_NO_DISPLAY, WINDOW_NOT_OPENED
from vm.errors import HostError, Retry
from vm.host.logs import tail
from vm.host.paths import find_home, home_at, make_home
from vm.host.process import run, spawn_detached, wait_gone

SEEN_SECONDS = 1.0  # a window that cannot open has ended by then
PAGES = ("containers", "images", "volumes", "networks", "engine", "settings", "help")
_PLATFORMS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


@click.command(cls=Command)
@click.argument("page", type=click.Choice(PAGES), required=False)
@click.option("--foreground", is_flag=True, help="Wait until the window is closed.")
@click.option(
    "--hidden",
    is_flag=True,
    help="Begin as at login: in the tray, or minimised where there is none, and with the engine "
    "where the setting start_engine_at_login says so.",
)
@click.option(
    "--home", type=click.Path(file_okay=False), help="The instance to use, instead of GALLEY_HOME."
)
def desktop(page: str | None, foreground: bool, hidden: bool, home: str | None) -> None:
    """Open the window, at PAGE if given.

    Closing it does not stop the engine or containers.
    """
    if sys.platform.startswith("linux") and not any(map(os.environ.get, _PLATFORMS)):
        raise HostError(
            WINDOW_NO_DISPLAY,
            retry=Retry.NO,
        )
    place = make_home(home_at(home) if home else find_home())
    ours = str(Path(__file__).parents[2])
    arguments = ["--hidden"] if hidden else [page] if page else []
    argv = [sys.executable, "-P", "-m", "desktop", *arguments]
    env = {"GALLEY_HOME": str(place.root), "PYTHONPATH": ours}
    if foreground:
        done = run(argv, env=env)
        if not done.ok:
            raise _did_not_open(done.tail())
        return
    log = place.logs / "window.log"
    child = spawn_detached(argv, log=log, env=env)
    began = log.stat().st_size
    if wait_gone(child, SEEN_SECONDS) and log.stat().st_size > began:
        raise _did_not_open(tail(log))
    if not hidden:
        say("The window is open.")


def _did_not_open(details: str) -> HostError:
    return HostError(
        WINDOW_NOT_OPENED,
        details=details,
    )
