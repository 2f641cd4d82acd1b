"""What can be done to a single image, the same in the list and in its inside. May import:
PySide6, `desk`, `models`, `actions`, `list_page`.
"""

from functools import partial

from PySide6.QtWidgets import QMenu

from desktop.actions import images as actions
from desktop.desk import Desk
from desktop.models.images import NamedImage
from desktop.pages.list_page import add
from desktop.text import tr


def fill_for_one(menu: QMenu, desk: Desk, row: NamedImage) -> None:
    named = bool(row.tag)
    digest = next(iter(row.image.digests), "")
    add(menu, tr("Run…"), partial(actions.run, desk, row.ref))
    add(menu, tr("Pull again"), partial(actions.pull, desk, row.tag), enabled=named)
    add(menu, tr("Add a name…"), partial(actions.ask_tag, desk, row))
    add(menu, tr("Push…"), partial(actions.ask_push, desk, row))
    menu.addSeparator()
    add(menu, tr("Copy name"), partial(actions.copy, desk, row.tag), enabled=named)
    add(menu, tr("Copy ID"), partial(actions.copy, desk, row.image.id))
    add(menu, tr("Copy digest"), partial(actions.copy, desk, digest), enabled=bool(digest))
    menu.addSeparator()
