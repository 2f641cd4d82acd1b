"""The actions on volumes, as entries of a menu."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from desktop.actions import volumes as actions
from desktop.context import AppContext
from desktop.dialogs.choose_file import ask_open, ask_save
from desktop.i18n.text import tr
from desktop.pages.list_page import add
from engine.docker.types import Volume


def fill_menu(
    menu: QMenu, app: AppContext, rows: Sequence[Volume], browse: Callable[[str], object] | None
) -> None:
    """`browse`: None where it is open already."""
    up = app.connection.is_up
    if len(rows) == 1:
        row = rows[0]
        if browse is not None:
            add(menu, tr("Browse"), partial(browse, row.name))
            menu.addSeparator()
        add(menu, tr("Clone…"), partial(clone, app, row), enabled=up)
        add(menu, tr("Export to a tar…"), partial(export, app, row), enabled=up)
        add(menu, tr("Import from a tar…"), partial(import_tar, app, row.name), enabled=up)
        menu.addSeparator()
        add(menu, tr("Copy name"), partial(copy, app, row.name))
        add(menu, tr("Copy mountpoint"), partial(copy, app, row.mountpoint))
        menu.addSeparator()
    add(menu, tr("Delete…"), partial(actions.delete, app, rows), enabled=up)


def clone(app: AppContext, row: Volume) -> None:
    from desktop.dialogs.volume import CloneVolumeDialog

    CloneVolumeDialog(app, row, app.window.widget).open()


def export(app: AppContext, row: Volume) -> None:
    ask_save(
        app.window.widget,
        tr("Export {name}", name=row.name),
        f"{row.name}.tar",
        "tar",
        partial(actions.export, app, row),
    )


def import_tar(app: AppContext, into: str = "") -> None:
    """First the file, then where to."""
    from desktop.dialogs.volume import ImportVolumeDialog

    filters = tr("Tar files ({patterns})", patterns="*.tar *.tar.gz *.tgz *.tar.xz *.tar.zst")
    ask_open(
        app.window.widget,
        tr("Import from a tar"),
        filters,
        lambda path: ImportVolumeDialog(app, app.window.widget, path, into).open(),
    )


def copy(app: AppContext, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    app.window.toast(tr("Copied"), text)
