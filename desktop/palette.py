"""The command palette (Ctrl+K): finds every action and every object by a few letters. Words may be
anywhere in a title, in any order; the best match comes first. Next: `matching.py`, and
`pages/objects.py` for objects and their actions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from desktop.i18n.text import tr
from desktop.matching import SearchText
from desktop.pages.objects import verbs
from desktop.pages.page import Command
from desktop.theme import icons
from desktop.theme.theme import Theme
from desktop.widgets.basics import label
from desktop.widgets.menu import round_off

SHOWN = 60
WITH_VERBS = 20  # objects of each kind whose actions are searched, the best matches first
ROWS = 12  # on the screen at once
WIDTH = 560
AROUND = 64  # pixels for the icon, the margins and the gap between title and hint
HINT_ROLE = Qt.ItemDataRole.UserRole + 1

type Index = QModelIndex | QPersistentModelIndex
type Scored = tuple[tuple[int, bool, int], Command]


class Palette(QDialog):
    def __init__(self, commands: Sequence[Command], theme: Theme, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)  # with a border round it
        self.setProperty("kind", "palette")
        self._search = Search(commands, self)
        self._theme = theme
        self.field = QLineEdit(placeholderText=tr("Run a command or open a page"))
        self.field.setAccessibleName(tr("Command"))
        self.found = QListWidget()
        self.found.setProperty("kind", "commands")
        self.found.setAccessibleName(tr("Commands that match"))
        self.found.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.found.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.found.setItemDelegate(HintedItem(theme, self.found))
        self.nothing = label(tr("Nothing matches"), "secondary")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setContentsMargins(0, 14, 0, 14)
        box = QVBoxLayout(self)
        box.setContentsMargins(10, 10, 10, 10)
        for widget in (self.field, self.found, self.nothing):
            box.addWidget(widget)
        self.field.textChanged.connect(self._fill)
        self.field.installEventFilter(self)
        self.found.itemClicked.connect(lambda _item: self._run())
        self.setFixedWidth(WIDTH)
        self._fill("")
        corner = parent.mapToGlobal(parent.rect().center())
        top = parent.mapToGlobal(parent.rect().topLeft())
        self.move(corner.x() - WIDTH // 2, top.y() + 80)
        self.field.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        round_off(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                count = max(1, self.found.count())
                self.found.setCurrentRow((self.found.currentRow() + step) % count)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run()
                return True
        return super().eventFilter(watched, event)

    def _fill(self, text: str) -> None:
        self.found.clear()
        for command in self._search.find(text)[:SHOWN]:
            item = QListWidgetItem(command.title)
            if command.icon:
                item.setIcon(icons.icon(command.icon, self._theme.color("secondary")))
            item.setData(Qt.ItemDataRole.UserRole, command)
            item.setData(HINT_ROLE, command.hint)
            self.found.addItem(item)
        self.found.setCurrentRow(0)
        self._fit()

    def _fit(self) -> None:
        """As high as what was found, up to a limit."""
        count = self.found.count()
        rows = min(count, ROWS) * self.found.sizeHintForRow(0) if count else 0
        self.found.setFixedHeight(rows + 2 * self.found.frameWidth())
        self.found.setVisible(count > 0)
        self.nothing.setVisible(count == 0)
        self.adjustSize()

    def _run(self) -> None:
        item = self.found.currentItem()
        if item is not None:
            command: Command = item.data(Qt.ItemDataRole.UserRole)
            self.accept()
            command.run()


class HintedItem(QStyledItemDelegate):
    """A command with its hint at the right end."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: N802
        super().initStyleOption(option, index)
        metrics = option.fontMetrics
        room = option.rect.width() - AROUND - metrics.horizontalAdvance(index.data(HINT_ROLE))
        option.text = metrics.elidedText(option.text, Qt.TextElideMode.ElideMiddle, room)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        place = option.rect.adjusted(0, 0, -12, 0)
        painter.setFont(option.font)
        painter.setPen(self._theme.color("secondary"))
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(place, int(side), index.data(HINT_ROLE))


class Search:
    """`owner` is the parent of the menus with the objects' actions."""

    def __init__(self, commands: Sequence[Command], owner: QWidget) -> None:
        self._commands = tuple(commands)
        self._texts = [_search_text(command) for command in commands]
        self._owner = owner
        self._verbs: dict[int, list[tuple[Command, SearchText]]] = {}

    def find(self, text: str) -> list[Command]:
        """The best first; without words all but the verbs, as they are."""
        words = text.casefold().split()
        if not words:
            return list(self._commands)
        scores = [each.score(words) for each in self._texts]
        hits = [
            *_whole(zip(self._commands, scores, strict=True), is_verb=False),
            *self._find_verbs(words, scores),
        ]
        return [command for _, command in sorted(hits, key=lambda hit: hit[0])]

    def _find_verbs(
        self, words: Sequence[str], scores: Sequence[Sequence[int | None]]
    ) -> list[Scored]:
        """Objects that have none of the words come last: the words may all mean a verb."""
        asked: Counter[str] = Counter()
        hits: list[tuple[Command, list[int | None]]] = []
        for place in sorted(range(len(scores)), key=lambda place: _distance(scores[place])):
            command = self._commands[place]
            if command.fill is None or asked[command.hint] >= WITH_VERBS:
                continue
            asked[command.hint] += 1
            hits += [(verb, each.score(words)) for verb, each in self._verbs_of(place)]
        return _whole(hits, is_verb=True)

    def _verbs_of(self, place: int) -> list[tuple[Command, SearchText]]:
        """The actions of one object; made once."""
        if place not in self._verbs:
            found = verbs(self._commands[place], QMenu(self._owner))
            self._verbs[place] = [(verb, _search_text(verb)) for verb in found]
        return self._verbs[place]


def _search_text(command: Command) -> SearchText:
    return SearchText(command.title, f"{command.hint} {command.also}")


def _distance(scores: Sequence[int | None]) -> tuple[int, int]:
    """How many words do not match, then how well the others do."""
    return scores.count(None), sum(score or 0 for score in scores)


def _whole(found: Iterable[tuple[Command, list[int | None]]], *, is_verb: bool) -> list[Scored]:
    """Those that have all of the words, with their place in the order."""
    return [
        ((sum(score or 0 for score in scores), is_verb, number), command)
        for number, (command, scores) in enumerate(found)
        if None not in scores
    ]
