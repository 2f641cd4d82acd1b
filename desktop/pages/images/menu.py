"""The actions on images, for the list, the detail view and the palette."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtWidgets import QMenu

from desktop.actions import images as actions
from desktop.actions import images_delete
from desktop.context import AppContext
from desktop.dialogs import images as dialogs
from desktop.i18n.text import tr
from desktop.models.images import NamedImage
from desktop.pages.list_page import add


def fill_menu(
    menu: QMenu, app: AppContext, rows: Sequence[NamedImage], show: Callable[[str], object] | None
) -> None:
    """`show`: None where it is open already."""
    if len(rows) == 1:
        if show is not None:
            add(menu, tr("Open"), partial(show, rows[0].key))
            menu.addSeparator()
        _fill_for_one(menu, app, rows[0])
    add(menu, tr("Save as a tar file…"), partial(dialogs.ask_save, app, rows))
    menu.addSeparator()
    add(menu, tr("Delete…"), partial(images_delete.delete, app, rows))


def _fill_for_one(menu: QMenu, app: AppContext, row: NamedImage) -> None:
    named = bool(row.tag)
    digest = next(iter(row.image.digests), "")
    add(menu, tr("Run…"), partial(app.window.run_image, row.ref))
    add(menu, tr("Pull again"), partial(actions.pull, app, row.tag), enabled=named)
    add(menu, tr("Add a name…"), partial(dialogs.ask_tag, app, row))
    add(menu, tr("Push…"), partial(dialogs.ask_push, app, row))
    menu.addSeparator()
    add(menu, tr("Copy name"), partial(actions.copy, app, row.tag), enabled=named)
    add(menu, tr("Copy ID"), partial(actions.copy, app, row.image.id))
    add(menu, tr("Copy digest"), partial(actions.copy, app, digest), enabled=bool(digest))
    menu.addSeparator()
