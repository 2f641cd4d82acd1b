"""The list of pages, and the actions on the engine. Next: `objects.py`, for the palette's actions
on containers, images, volumes and networks.

A page is imported when it is made. To add one: a line in `places`, and one in `make`.
"""

from collections.abc import Sequence
from functools import partial

from desktop.actions import engine
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.pages.page import Command, Page
from desktop.session.engine_state import EngineState
from desktop.widgets.sidebar import NavEntry

LISTS = ("containers", "images", "volumes", "networks")


def places() -> Sequence[NavEntry]:
    return (
        NavEntry("containers", tr("Containers"), "container"),
        NavEntry("images", tr("Images"), "image"),
        NavEntry("volumes", tr("Volumes"), "volume"),
        NavEntry("networks", tr("Networks"), "network"),
        NavEntry("engine", tr("Engine"), "engine"),
        NavEntry("settings", tr("Settings"), "settings", below=True),
        NavEntry("help", tr("Help"), "help", below=True),
    )


def known(key: str) -> str:
    """A page that exists, whatever was remembered."""
    return key if key in [place.key for place in places()] else "containers"


def needs_engine(key: str) -> bool:
    return key in LISTS


def make(key: str, app: AppContext) -> Page:
    match key:
        case "containers":
            from desktop.pages.containers.page import ContainersPage

            return ContainersPage(app)
        case "images":
            from desktop.pages.images.page import ImagesPage

            return ImagesPage(app)
        case "volumes":
            from desktop.pages.volumes.page import VolumesPage

            return VolumesPage(app)
        case "networks":
            from desktop.pages.networks.page import NetworksPage

            return NetworksPage(app)
        case "engine":
            from desktop.pages.engine.page import EnginePage

            return EnginePage(app)
        case "settings":
            from desktop.pages.settings.page import SettingsPage

            return SettingsPage(app)
        case "welcome":
            from desktop.pages.welcome import WelcomePage

            return WelcomePage(app)
    from desktop.pages.help.page import HelpPage

    return HelpPage(app)


def commands(app: AppContext, state: EngineState) -> list[Command]:
    """The actions on the engine that are possible now."""
    found = []
    if app.connection.is_ours:
        if state.action == "start":
            start = partial(engine.start, app)
            found.append(Command(tr("Start the engine"), start, icon="start"))
        elif app.connection.is_up:
            found += [
                Command(tr("Stop the engine"), partial(engine.stop, app), icon="stop"),
                Command(tr("Restart the engine"), partial(engine.restart, app), icon="restart"),
            ]
    for choice, words in (
        ("light", tr("Light colours")),
        ("dark", tr("Dark colours")),
        ("system", tr("Colours of the system")),
    ):
        found.append(Command(words, partial(app.use_scheme, choice), icon="moon"))
    return found
