"""The actions on containers as a menu: of the list, and of the detail view."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from desktop.actions import containers as actions
from desktop.context import AppContext
from desktop.i18n.text import tr
from desktop.pages.list_page import add
from engine.docker.types import Container, ContainerState, Port

MOST_PORTS = 4

type OpenTab = Callable[[str, str], object]  # a container's id, a tab


def fill_menu(
    menu: QMenu,
    app: AppContext,
    rows: Sequence[Container],
    open_tab: OpenTab,
    is_group: bool = False,
) -> None:
    """The actions of these containers; of a group only those that all have."""
    up = [row for row in rows if row.state.is_up]
    going = [row for row in rows if row.state is ContainerState.RUNNING]
    add(menu, tr("Start"), partial(actions.start, app, rows), enabled=len(up) < len(rows))
    add(menu, tr("Stop"), partial(actions.stop, app, rows), enabled=bool(up))
    add(menu, tr("Restart"), partial(actions.restart, app, rows))
    if any(row.state is ContainerState.PAUSED for row in rows):
        add(menu, tr("Resume"), partial(actions.resume, app, rows))
    else:
        add(menu, tr("Pause"), partial(actions.pause, app, rows), enabled=bool(going))
    add(menu, tr("Kill"), partial(actions.kill, app, rows), enabled=bool(up))
    menu.addSeparator()
    if len(rows) == 1 and not is_group:
        _fill_for_one(menu, app, rows[0], open_tab)
        menu.addSeparator()
    add(menu, tr("Delete…"), partial(actions.delete, app, rows))


def _fill_for_one(menu: QMenu, app: AppContext, row: Container, open_tab: OpenTab) -> None:
    add(menu, tr("Logs"), partial(open_tab, row.id, "logs"))
    terminal = partial(open_tab, row.id, "terminal")
    add(menu, tr("Terminal"), terminal, enabled=row.state.is_up)
    add(menu, tr("Inside"), partial(open_tab, row.id, "inside"))
    menu.addSeparator()
    if ports := _ports(row):
        for port in ports:
            text = tr("Open port {port} in the browser", port=port.host_port)
            add(menu, text, partial(actions.open_port, app, port))
        menu.addSeparator()
    add(menu, tr("Rename…"), partial(_rename, app, row))
    add(menu, tr("Recreate with changes…"), partial(_recreate, app, row))
    add(menu, tr("Copy docker run"), partial(actions.copy_run_command, app, row))
    add(menu, tr("Copy ID"), partial(_copy, row.id))


def _ports(row: Container) -> list[Port]:
    """Those that answer: one for an address of each family is shown once."""
    shown = {p.host_port: p for p in reversed(row.ports) if p.host_port and p.protocol == "tcp"}
    return [shown[number] for number in sorted(shown)[:MOST_PORTS]] if row.state.is_up else []


def _copy(text: str) -> None:
    QGuiApplication.clipboard().setText(text)


def _rename(app: AppContext, row: Container) -> None:
    from desktop.dialogs.ask import ask_text

    ask_text(
        app.window.widget,
        tr("Rename {name}", name=row.name),
        tr("New name"),
        row.name,
        tr("Rename"),
        partial(actions.rename, app, row),
    )


def _recreate(app: AppContext, row: Container) -> None:
    from desktop.dialogs.recreate import RecreateDialog

    RecreateDialog(app, row).open()
