"""The progress of a pull, push, save or load: a bar for each layer.

`TransferBars` is painted, not made of widgets, for a pull reports twenty times a second.
`TransferCard` floats at the lower right edge until its task is over.
"""

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGraphicsDropShadowEffect, QSizePolicy, QWidget

from desktop.i18n.text import plural, tr
from desktop.models import transfers
from desktop.session.tasks import Task
from desktop.theme.theme import Theme, monospace
from desktop.widgets.basics import button, column, label, row
from desktop.widgets.copy_line import Shortened
from engine.docker.types import LayerProgress, TransferProgress

WIDTH = 420
LINE = 24
MOST = 6  # layers that are shown; the others are counted
NAME, WORD, GAP = 104, 92, 10


class TransferBars(QWidget):
    """Empty until `show_progress`."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._layers: tuple[LayerProgress, ...] = ()
        self._rest = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Layers"))
        theme.changed.connect(self.update)

    def show_progress(self, progress: TransferProgress | None) -> None:
        before = self.sizeHint()
        self._layers = transfers.most_alive(progress, MOST) if progress else ()
        self._rest = len(progress.layers) - len(self._layers) if progress else 0
        self.setAccessibleDescription(transfers.note(progress) if progress else "")
        if self.sizeHint() != before:
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(240, LINE * (len(self._layers) + bool(self._rest)))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, layer in enumerate(self._layers):
            self._draw(painter, QRect(0, LINE * number, self.width(), LINE), layer)
        if self._rest:
            words = plural("and %n more", "and %n more", self._rest)
            place = QRect(0, LINE * len(self._layers), self.width(), LINE)
            self._say(painter, place, words)

    def _draw(self, painter: QPainter, place: QRect, layer: LayerProgress) -> None:
        left = 0
        if layer.id:
            painter.setFont(monospace())
            self._say(painter, place.adjusted(0, 0, NAME - place.width(), 0), layer.id[:12])
            left = NAME + GAP
        words = transfers.word(layer) if layer.id else transfers.amount(layer)
        right = WORD if layer.id else WORD + 40
        painter.setFont(self.font())
        self._say(painter, place.adjusted(place.width() - right, 0, 0, 0), words)
        bar = QRectF(left, place.center().y() - 3, place.width() - left - right - GAP, 7)
        draw_bar(painter, bar, transfers.share(layer), self._theme)

    def _say(self, painter: QPainter, place: QRect, words: str) -> None:
        painter.setPen(self._theme.color("secondary"))
        shown = QFontMetrics(painter.font()).elidedText(
            words, Qt.TextElideMode.ElideRight, place.width()
        )
        side = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(place, int(side), shown)


def draw_bar(painter: QPainter, where: QRectF, share: float, theme: Theme) -> None:
    """A share of a track; the least of something is seen."""
    radius = where.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("track"))
    painter.drawRoundedRect(where, radius, radius)
    if share > 0:
        width = max(where.height() / 2, where.width() * min(share, 1.0))
        painter.setBrush(theme.color("accent"))
        painter.drawRoundedRect(
            QRectF(where.left(), where.top(), width, where.height()), radius, radius
        )


class TransferCard(QFrame):
    """Title, bars, Cancel. Closes itself when the task is over."""

    def __init__(self, theme: Theme, task: Task) -> None:
        super().__init__()
        self.setProperty("kind", "toast")
        self.setFixedWidth(WIDTH)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName(task.title)
        self._task = task
        self._title = Shortened("heading")
        self._title.say(task.title)
        self._note = label(tr("Querying the registry…"), "secondary")
        self.bars = TransferBars(theme)
        self.cancel = button(
            tr("Cancel"), self._give_up, "link", name=tr("Cancel {task}", task=task.title)
        )
        self.hide_button = button(
            tr("Hide"), self.close, "link", tip=tr("The task continues; see the list of tasks.")
        )
        box = column(
            self._title, self.bars, row(self._note, 1, self.hide_button, self.cancel), gap=6
        )
        box.setContentsMargins(14, 12, 14, 8)
        self.setLayout(box)
        shadow = QGraphicsDropShadowEffect(self, blurRadius=24, yOffset=4, xOffset=0)
        shadow.setColor(theme.tokens.shadow)
        self.setGraphicsEffect(shadow)
        task.changed.connect(self._draw)

    def _draw(self) -> None:
        task = self._task
        if task.state.is_over:
            self.close()
            return
        progress = task.detail if isinstance(task.detail, TransferProgress) else None
        self._title.say(transfers.headline(task.title, progress))
        if progress is not None and not task.cancel.is_set:
            self._note.setText(task.note)
        self.bars.show_progress(progress)
        self.adjustSize()

    def _give_up(self) -> None:
        self.cancel.setEnabled(False)
        self._note.setText(tr("Cancelling…"))
        self._task.cancel.set()
