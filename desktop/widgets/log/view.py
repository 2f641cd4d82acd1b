"""A scrolling log of any length; only visible rows are laid out.

It follows the end until the user scrolls up; rows keep their place while older ones are dropped.
Next: `paint.py`.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFontMetricsF,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea

from desktop.i18n.text import tr
from desktop.theme.theme import Theme, monospace
from desktop.widgets.log.paint import LogPaint, Shown
from desktop.widgets.log.rows import LogPosition, LogRow, LogRows, LogSearch
from desktop.widgets.menu import Menu

DRAG_MS = 50


class LogView(QAbstractScrollArea):
    """`rows` may be read from outside; `add` and `clear` change them."""

    following_changed = Signal(bool)
    unseen_changed = Signal(int)  # rows that came since the end was left
    find_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.rows = LogRows()
        self.follows = True
        self.unseen = 0
        self.search: LogSearch | None = None
        self._theme = theme
        self._paint = LogPaint(self.rows, theme, monospace())
        self._top = 0  # the number of the first visible row, when the end is not followed
        self._hit = -1
        self._anchor: LogPosition | None = None
        self._caret: LogPosition | None = None
        self._moving = False  # the scroll bars are set by us
        self._drag = QTimer(self, interval=DRAG_MS)
        self._drag.timeout.connect(self._drag_on)
        self._advance = QFontMetricsF(monospace()).horizontalAdvance("0")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty("kind", "card")
        self.setViewportMargins(1, 4, 1, 4)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.horizontalScrollBar().valueChanged.connect(self.viewport().update)
        theme.changed.connect(self._apply_theme)

    # For tabs and pages

    def add(self, rows: Sequence[LogRow]) -> None:
        self.rows.extend(rows)
        self._paint.forget_before(self.rows.first)
        if not self._paint.wraps:
            longest = max((len(row.text) for row in rows), default=0)
            self._paint.widest = max(self._paint.widest, longest * self._advance)
        if not self.follows:
            self._top = max(self._top, self.rows.first)
            self._set_unseen(self.unseen + len(rows))
        self._settle()

    def clear(self) -> None:
        self.rows.clear()
        self._anchor = self._caret = None
        self._paint.widest = 0.0
        self._set_unseen(0)
        self.follow()

    def follow(self) -> None:
        """To the end, and stay there."""
        self._set_follows(True)
        self._settle()

    def set_wrap(self, wraps: bool) -> None:
        self._paint.wraps = wraps
        self._relayout()

    def set_moments(self, shown: bool) -> None:
        """Show when each line was written."""
        self._paint.set_moments(shown)
        self._relayout()

    def set_search(self, search: LogSearch | None) -> None:
        self.search, self._hit = search, -1
        self._paint.pattern = search.pattern if search else None
        self.viewport().update()

    def show_hit(self, row: int) -> None:
        """Bring a row that was found into the middle."""
        self._hit = row
        self._set_follows(False)
        self._top = max(self.rows.first, row - self._fit() // 2)
        self._settle()

    @property
    def hit(self) -> int:
        """The row that was found last, or the one where the search begins."""
        return self._hit if self._hit >= 0 else self._first_visible() - 1

    def selected_text(self) -> str:
        span = self._selection()
        return self.rows.text(*span) if span else ""

    def copy(self) -> int:
        """Copy the selection, or everything; returns the number of lines."""
        text = self.selected_text() or self.whole_text()
        if text:
            QGuiApplication.clipboard().setText(text)
        return text.count("\n") + 1 if text else 0

    def whole_text(self) -> str:
        return self.rows.text(LogPosition(self.rows.first, 0), LogPosition(self.rows.end, 0))

    def select_all(self) -> None:
        if len(self.rows):
            last = self.rows.end - 1
            self._anchor = LogPosition(self.rows.first, 0)
            self._caret = LogPosition(last, len(self.rows[last].text))
            self.viewport().update()

    # Geometry

    def _fit(self) -> int:
        """How many rows there is room for at the end."""
        left = float(self.viewport().height())
        number = self.rows.end
        while number > self.rows.first:
            left -= self._paint.height(number - 1)
            if left < 0:
                break
            number -= 1
        return max(1, self.rows.end - number)

    def _first_visible(self) -> int:
        return max(self.rows.first, self.rows.end - self._fit()) if self.follows else self._top

    def _visible(self) -> list[Shown]:
        """From above; when the end is followed, its last row is whole."""
        height = self.viewport().height()
        shown: list[Shown] = []
        if not self.follows:
            y, number = 0.0, self._top
            while number < self.rows.end and y < height:
                shown.append(Shown(number, y))
                y += self._paint.height(number)
                number += 1
            return shown
        y, number = float(height), self.rows.end
        while number > self.rows.first and y > 0:
            number -= 1
            y -= self._paint.height(number)
            shown.append(Shown(number, y))
        shown.reverse()
        if y > 0:  # fewer than there is room for: they begin above
            return [Shown(one.row, one.y - y) for one in shown]
        return shown

    def _place_at(self, point: QPoint) -> LogPosition | None:
        shown = self._visible()
        if not shown:
            return None
        under = [one for one in shown if one.y <= point.y()] or shown[:1]
        return self._paint.place(under[-1], point, self.horizontalScrollBar().value())

    def _selection(self) -> tuple[LogPosition, LogPosition] | None:
        if self._anchor is None or self._caret is None or self._anchor == self._caret:
            return None
        return min(self._anchor, self._caret), max(self._anchor, self._caret)

    # Scrolling

    def _settle(self) -> None:
        """Scroll bars for what there is now, and a new picture."""
        self._moving = True
        fit = self._fit()
        bar = self.verticalScrollBar()
        most = max(0, len(self.rows) - fit)
        if self._top - self.rows.first >= most and not self.follows:
            self._top = self.rows.first + most
        bar.setRange(0, most)
        bar.setPageStep(fit)
        bar.setValue(most if self.follows else self._top - self.rows.first)
        across = self.horizontalScrollBar()
        room = self.viewport().width() - round(self._paint.left) - self._paint.RIGHT
        across.setRange(0, 0 if self._paint.wraps else max(0, round(self._paint.widest - room)))
        across.setPageStep(max(1, room))
        across.setSingleStep(round(8 * self._advance))
        self._moving = False
        self.viewport().update()

    def _scrolled(self, value: int) -> None:
        if self._moving:
            return
        self._set_follows(value >= self.verticalScrollBar().maximum())
        self._top = self.rows.first + value
        self.viewport().update()

    def _set_follows(self, follows: bool) -> None:
        if follows:
            self._set_unseen(0)
        elif self.follows:
            self._top = self._first_visible()
        if follows != self.follows:
            self.follows = follows
            self.following_changed.emit(follows)

    def stop_following(self) -> None:
        self._set_follows(False)
        self._settle()

    def _set_unseen(self, number: int) -> None:
        if number != self.unseen:
            self.unseen = number
            self.unseen_changed.emit(number)

    def _relayout(self) -> None:
        self._paint.width = self.viewport().width()
        self._paint.forget()
        self._settle()

    def _apply_theme(self) -> None:
        self._paint.apply_theme()
        self.viewport().update()

    # Qt

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        if self._paint.wraps or not self._paint.width:
            self._relayout()
        else:
            self._settle()
        super().resizeEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self.viewport())
        widest = self._paint.widest
        self._paint.draw(
            painter,
            self._visible(),
            self.viewport().rect(),
            self.horizontalScrollBar().value(),
            self._selection(),
            self._hit,
        )
        painter.end()
        if self._paint.widest > widest and not self._paint.wraps:
            QTimer.singleShot(0, self, self._settle)

    def event(self, event: QEvent) -> bool:
        """Ctrl+F is ours while we have the focus, and not the window's."""
        find = QKeySequence.StandardKey.Find
        overrides = event.type() == QEvent.Type.ShortcutOverride
        if overrides and isinstance(event, QKeyEvent) and event.matches(find):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.matches(QKeySequence.StandardKey.Find):
            self.find_wanted.emit()
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.key() == Qt.Key.Key_End:
            self.follow()
        elif event.key() == Qt.Key.Key_Home:
            self._set_follows(False)
            self._top = self.rows.first
            self._settle()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() != Qt.MouseButton.LeftButton:
            return
        place = self._place_at(event.position().toPoint())
        extends = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if not extends or self._anchor is None:
            self._anchor = place
        self._caret = place
        self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if not event.buttons() & Qt.MouseButton.LeftButton or self._anchor is None:
            return
        point = event.position().toPoint()
        self._caret = self._place_at(point)
        outside = not 0 <= point.y() < self.viewport().height()
        if outside and not self._drag.isActive():
            self._drag.start()
        elif not outside:
            self._drag.stop()
        self.viewport().update()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:  # noqa: N802
        self._drag.stop()
        selection = QGuiApplication.clipboard()
        if selection.supportsSelection() and self._selection():
            selection.setText(self.selected_text(), selection.Mode.Selection)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        place = self._place_at(event.position().toPoint())
        if place is not None:
            left, right = self._paint.word(place)
            self._anchor, self._caret = LogPosition(place.row, left), LogPosition(place.row, right)
            self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        menu = Menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy = menu.addAction(tr("Copy"), self.copy)
        copy.setEnabled(self._selection() is not None)
        menu.addAction(tr("Select all"), self.select_all)
        menu.addAction(tr("Find"), self.find_wanted.emit)
        menu.popup(event.globalPos())

    def _drag_on(self) -> None:
        """The mouse is held above or below the view."""
        point = self.viewport().mapFromGlobal(self.cursor().pos())
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + (1 if point.y() > 0 else -1))
        self._caret = self._place_at(point) or self._caret
        self.viewport().update()
