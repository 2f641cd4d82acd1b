"""What can be done to volumes, as entries of a menu."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from desktop.actions import volumes as actions
from desktop.context import Desk
from desktop.dialogs.choose_file import ask_open, ask_save
from desktop.i18n.text import tr
from desktop.pages.list_page import add
from engine.docker.types import Volume


def fill_menu(
    menu: QMenu, desk: Desk, rows: Sequence[Volume], browse: Callable[[str], object] | None
) -> None:
    """`browse`: None where it is open already."""
    up = desk.connection.is_up
    if len(rows) == 1:
        row = rows[0]
        if browse is not None:
            add(menu, tr("Browse"), partial(browse, row.name))
            menu.addSeparator()
        add(menu, tr("Clone…"), partial(clone, desk, row), enabled=up)
        add(menu, tr("Export to a tar…"), partial(export, desk, row), enabled=up)
        add(menu, tr("Import from a tar…"), partial(import_tar, desk, row.name), enabled=up)
        menu.addSeparator()
        add(menu, tr("Copy name"), partial(copy, desk, row.name))
        add(menu, tr("Copy mountpoint"), partial(copy, desk, row.mountpoint))
        menu.addSeparator()
    add(menu, tr("Delete…"), partial(actions.delete, desk, rows), enabled=up)


def clone(desk: Desk, row: Volume) -> None:
    from desktop.dialogs.volume import CloneVolumeDialog

    CloneVolumeDialog(desk, row, desk.shell.widget).open()


def export(desk: Desk, row: Volume) -> None:
    ask_save(
        desk.shell.widget,
        tr("Export {name}", name=row.name),
        f"{row.name}.tar",
        "tar",
        partial(actions.export, desk, row),
    )


def import_tar(desk: Desk, into: str = "") -> None:
    """First the file, then where to."""
    from desktop.dialogs.volume import ImportVolumeDialog

    filters = tr("Tar files ({patterns})", patterns="*.tar *.tar.gz *.tgz *.tar.xz *.tar.zst")
    ask_open(
        desk.shell.widget,
        tr("Import from a tar"),
        filters,
        lambda path: ImportVolumeDialog(desk, desk.shell.widget, path, into).open(),
    )


def copy(desk: Desk, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    desk.shell.toast(tr("Copied"), text)
