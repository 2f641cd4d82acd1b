"""What can be done to images, the same in the list, in the inside of one and in the palette."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtWidgets import QMenu

from desktop.actions import images as actions
from desktop.actions import images_delete
from desktop.context import Desk
from desktop.dialogs import images as dialogs
from desktop.i18n.text import tr
from desktop.models.images import NamedImage
from desktop.pages.list_page import add


def fill_menu(
    menu: QMenu, desk: Desk, rows: Sequence[NamedImage], show: Callable[[str], object] | None
) -> None:
    """`show`: None where it is open already."""
    if len(rows) == 1:
        if show is not None:
            add(menu, tr("Open"), partial(show, rows[0].key))
            menu.addSeparator()
        _fill_for_one(menu, desk, rows[0])
    add(menu, tr("Save as a tar file…"), partial(dialogs.ask_save, desk, rows))
    menu.addSeparator()
    add(menu, tr("Delete…"), partial(images_delete.delete, desk, rows))


def _fill_for_one(menu: QMenu, desk: Desk, row: NamedImage) -> None:
    named = bool(row.tag)
    digest = next(iter(row.image.digests), "")
    add(menu, tr("Run…"), partial(desk.shell.run_image, row.ref))
    add(menu, tr("Pull again"), partial(actions.pull, desk, row.tag), enabled=named)
    add(menu, tr("Add a name…"), partial(dialogs.ask_tag, desk, row))
    add(menu, tr("Push…"), partial(dialogs.ask_push, desk, row))
    menu.addSeparator()
    add(menu, tr("Copy name"), partial(actions.copy, desk, row.tag), enabled=named)
    add(menu, tr("Copy ID"), partial(actions.copy, desk, row.image.id))
    add(menu, tr("Copy digest"), partial(actions.copy, desk, digest), enabled=bool(digest))
    menu.addSeparator()
