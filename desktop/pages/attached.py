"""The containers that use a volume or network, with a link to each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.context import AppContext
from desktop.i18n.text import tip, tr
from desktop.models.containers import state_dot, state_word
from desktop.theme.theme import Theme
from desktop.theme.tokens import ROW_HEIGHT
from desktop.widgets.basics import button, card, column, holder, label, line, row, scrolled
from desktop.widgets.elided import Elided
from desktop.widgets.list.row_delegate import draw_dot
from engine.docker.types import Container

STATE_WIDTH, TEXT_WIDTH = 112, 136
NAME_LEAST = 120


class Dot(QWidget):
    """The state as a coloured shape; the word beside it has the same meaning."""

    def __init__(self, theme: Theme, state: str) -> None:
        super().__init__()
        self._theme, self._state = theme, state
        self.setFixedSize(QSize(14, 14))
        theme.changed.connect(self.update)

    def set_state(self, state: str) -> None:
        self._state = state
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_dot(painter, QPointF(7, 7), self._state, self._theme)


@dataclass(frozen=True)
class User:
    """A container, and a detail of it, such as its address."""

    container: Container
    text: str = ""


class AttachedList(QWidget):
    """`part`: the label of a second button, "" for none."""

    def __init__(
        self,
        app: AppContext,
        none_text: str,
        part: str = "",
        part_from: Callable[[Container], object] | None = None,
    ) -> None:
        super().__init__()
        self._app, self._none_text = app, none_text
        self._part, self._part_from = part, part_from
        self._shown: tuple[User, ...] | None = None
        self._box = column(gap=0)
        self.setLayout(self._box)

    def show_users(self, users: Sequence[User]) -> None:
        """Rebuilt only where something visible changes."""
        if tuple(users) == self._shown:
            return
        self._shown = tuple(users)
        while (item := self._box.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        if not users:
            self._box.addWidget(label(self._none_text, "secondary", wrap=True))
            self._box.addStretch(1)
            return
        rows = column(gap=0)
        for number, user in enumerate(users):
            if number:
                rows.addWidget(line())
            rows.addWidget(self._row(user))
        framed = card(rows, margin=0)
        framed.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._box.addWidget(scrolled(holder(column(framed, 1))))

    def _row(self, user: User) -> QWidget:
        found = user.container
        go = partial(self._app.window.go, "containers", found.id)
        name = button(found.name, go, "link", name=tr("Open {name}", name=found.name))
        name.setToolTip(tip(found.name))
        state = label(state_word(found))
        text = label(user.text, "mono", select=bool(user.text))
        dot = Dot(self._app.theme, state_dot(found))
        image = Elided(found.image, "secondary")
        for widget, least in ((name, NAME_LEAST), (image, 40)):  # of every row the same
            widget.setMinimumWidth(least)
            widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        state.setFixedWidth(STATE_WIDTH)
        text.setFixedWidth(TEXT_WIDTH)
        made = row(dot, name, state, text, image)
        made.setStretch(1, 3)
        made.setStretch(4, 2)
        if self._part and self._part_from is not None:
            title = tr("{action}: {name}", action=self._part, name=found.name)
            made.addWidget(button(self._part, partial(self._part_from, found), "link", name=title))
        made.setContentsMargins(14, 0, 14, 0)
        whole = holder(made)
        whole.setFixedHeight(ROW_HEIGHT)
        whole.setAttribute(Qt.WidgetAttribute.WA_StyledBackground, False)
        return whole
