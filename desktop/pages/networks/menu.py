"""The actions on networks, as entries of a menu."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from desktop.actions import networks as actions
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.models.networks import attached
from desktop.pages.list_page import add
from engine.docker.types import Network


def can_connect(row: Network) -> bool:
    """Docker gives containers these two only when they are made."""
    return row.driver not in ("host", "null")


def fill_menu(
    menu: QMenu, app: AppContext, rows: Sequence[Network], show: Callable[[str], object] | None
) -> None:
    """`show`: None where it is open already."""
    up = app.connection.is_up
    if len(rows) == 1:
        row = rows[0]
        if show is not None:
            add(menu, tr("Open"), partial(show, row.id))
            menu.addSeparator()
        allowed = up and can_connect(row)
        add(menu, tr("Connect a container…"), partial(connect, app, row), enabled=allowed)
        people = attached(app.stores, row)
        away = menu.addMenu(tr("Disconnect"))
        away.setEnabled(allowed and bool(people))
        for container, _ in people:
            add(away, container.name, partial(actions.disconnect, app, row, container))
        menu.addSeparator()
        add(menu, tr("Copy name"), partial(copy, app, row.name))
        add(menu, tr("Copy ID"), partial(copy, app, row.id))
        menu.addSeparator()
    deletable = up and any(not row.is_builtin for row in rows)
    add(menu, tr("Delete…"), partial(actions.delete, app, rows), enabled=deletable)


def connect(app: AppContext, row: Network) -> None:
    from desktop.dialogs.network import ConnectDialog

    ConnectDialog(app, row, app.window.widget).open()


def copy(app: AppContext, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    app.window.toast(tr("Copied"), text)
