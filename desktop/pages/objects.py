"""Containers, images, volumes and networks in the palette, with the actions of their menus. Next:
`desktop/palette.py`.
"""

from collections.abc import Iterator
from functools import partial

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.models.images import NamedImage, names_of
from desktop.pages.containers import menu as containers
from desktop.pages.images import menu as images
from desktop.pages.list_page import add
from desktop.pages.networks import menu as networks
from desktop.pages.page import Command
from desktop.pages.volumes import menu as volumes
from engine.docker.types import Container, Network, Volume


def objects(app: AppContext) -> list[Command]:
    """Each opens what it names."""
    stores = app.stores
    return [
        *(_container(app, row) for row in stores.containers.rows.values()),
        *(_image(app, one) for row in stores.images.rows.values() for one in names_of(row)),
        *(_volume(app, row) for row in stores.volumes.rows.values()),
        *(_network(app, row) for row in stores.networks.rows.values()),
    ]


def verbs(command: Command, menu: QMenu) -> list[Command]:
    """The actions that are possible now; `menu` lives as long as they are needed."""
    if command.fill is None:
        return []
    command.fill(menu)
    return [
        Command(
            tr("{name}: {action}", name=command.title, action=words),
            run.trigger,
            command.hint,
            command.icon,
            command.also,
        )
        for words, run in _actions(menu)
    ]


def _actions(menu: QMenu, above: str = "") -> Iterator[tuple[str, QAction]]:
    for action in menu.actions():
        words = f"{above} {action.text().replace('&&', '&')}".strip()
        below = action.menu()
        if isinstance(below, QMenu):
            yield from _actions(below, words)
        elif action.isEnabled() and not action.isSeparator():
            yield words, action


def _container(app: AppContext, row: Container) -> Command:
    show = partial(app.window.go, "containers")

    def fill(menu: QMenu) -> None:
        if app.connection.is_up:
            containers.fill_menu(menu, app, [row], show)
        for tab, title in (
            ("files", tr("Files")),
            ("stats", tr("Stats")),
            ("inspect", tr("Inspect")),
        ):
            add(menu, title, partial(show, row.id, tab))

    also = f"{row.image} {row.project} {row.service}"
    return Command(row.name, partial(show, row.id), tr("container"), "container", also, fill)


def _image(app: AppContext, row: NamedImage) -> Command:
    def fill(menu: QMenu) -> None:
        if app.connection.is_up:
            images.fill_menu(menu, app, [row], None)

    show = partial(app.window.go, "images", row.key)
    return Command(row.title, show, tr("image"), "image", fill=fill)


def _volume(app: AppContext, row: Volume) -> Command:
    def fill(menu: QMenu) -> None:
        volumes.fill_menu(menu, app, [row], None)

    show = partial(app.window.go, "volumes", row.name)
    return Command(row.name, show, tr("volume"), "volume", fill=fill)


def _network(app: AppContext, row: Network) -> Command:
    def fill(menu: QMenu) -> None:
        networks.fill_menu(menu, app, [row], None)

    show = partial(app.window.go, "networks", row.id)
    return Command(row.name, show, tr("network"), "network", fill=fill)
