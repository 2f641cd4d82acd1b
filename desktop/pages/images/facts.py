"""An image's defaults for containers, and the containers that use it."""

import shlex
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from desktop.context import AppContext
from desktop.i18n.text import age, plural, short_id, tr
from desktop.models.containers import state_word
from desktop.models.images import NamedImage
from desktop.widgets.basics import button, holder, label, row
from engine.docker.types import ImageDetail

type Fact = tuple[str, Sequence[str]]  # what it is, and its lines

NAME_WIDTH = 116
MOST = 8  # containers that are named


class ImageFacts(QWidget):
    """`leave` disconnects it from the stores."""

    def __init__(self, app: AppContext, line: NamedImage, detail: ImageDetail) -> None:
        super().__init__()
        self._app = app
        self._line = line
        self._made: list[QWidget] = []
        self.users = QVBoxLayout()
        self.users.setSpacing(2)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 4, 0)
        box.setSpacing(8)
        box.addWidget(label(tr("Used by"), "heading"))
        box.addLayout(self.users)
        box.addSpacing(8)
        box.addWidget(label(tr("Container defaults"), "heading"))
        box.addLayout(_grid(_starts_with(detail)))
        box.addSpacing(8)
        box.addWidget(label(tr("The image"), "heading"))
        box.addLayout(_grid(_identity(line, detail)))
        box.addStretch(1)
        app.stores.containers.changed.connect(self._follow)
        self._follow()

    def leave(self) -> None:
        self._app.stores.containers.changed.disconnect(self._follow)

    def _follow(self, _delta: object = None) -> None:
        for made in self._made:
            self.users.removeWidget(made)
            made.deleteLater()
        self._made = []
        found = self._app.stores.users_of_image(self._line.image)
        for container in sorted(found, key=lambda one: one.name)[:MOST]:
            show = partial(self._app.window.go, "containers", container.id)
            link = button(container.name, show, "link", name=tr("Open {name}", name=container.name))
            self._made.append(holder(row(link, label(state_word(container), "secondary"), 1)))
        if len(found) > MOST:
            words = plural("and %n more", "and %n more", len(found) - MOST)
            self._made.append(label(words, "secondary"))
        if not found:
            self._made.append(label(tr("No container uses it."), "secondary"))
        for made in self._made:
            self.users.addWidget(made)


def _starts_with(detail: ImageDetail) -> list[Fact]:
    ports = [f"{port.container_port}/{port.protocol}" for port in detail.ports]
    return [
        (tr("Entry point"), _command(detail.entrypoint)),
        (tr("Command"), _command(detail.command)),
        (tr("Environment"), detail.env),
        (tr("Ports"), [", ".join(ports)] if ports else ()),
        (tr("Volumes"), detail.volumes),
        (tr("Folder"), [detail.working_dir or "/"]),
        (tr("User"), [detail.user or "root"]),
    ]


def _identity(line: NamedImage, detail: ImageDetail) -> list[Fact]:
    created = age(detail.created) if detail.created > 0 else ""
    return [
        (tr("Names"), line.image.tags),
        (tr("ID"), [short_id(detail.id)]),
        (tr("Digests"), line.image.digests),
        (tr("Platform"), [f"{detail.os}/{detail.architecture}"]),
        (tr("Created"), [tr("{age} ago", age=created)] if created else ()),
    ]


def _command(words: Sequence[str]) -> Sequence[str]:
    return [shlex.join(words)] if words else ()


def _grid(facts: Sequence[Fact]) -> QGridLayout:
    """Names to the left, lines to the right; "none" where there is nothing."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(6)
    grid.setColumnMinimumWidth(0, NAME_WIDTH)
    grid.setColumnStretch(1, 1)
    for place, (name, lines) in enumerate(facts):
        words = "\n".join(lines)
        value = label(words, "mono", wrap=True, select=True) if words else None
        value = value or label(tr("none"), "secondary")
        value.setAccessibleName(f"{name}: {value.text()}")
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(label(name, "secondary"), place, 0, top)
        grid.addWidget(value, place, 1)
    return grid
