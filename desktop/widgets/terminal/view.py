"""The terminal widget. It shows the last `Frame`, and the scrollback above it. Next: `paint.py`."""

from collections import deque

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QClipboard,
    QContextMenuEvent,
    QFocusEvent,
    QGuiApplication,
    QInputMethodEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea

from desktop.i18n.text import tr
from desktop.theme.theme import Theme
from desktop.widgets.menu import Menu
from desktop.widgets.terminal.keys import key_bytes
from desktop.widgets.terminal.paint import TerminalPaint
from desktop.widgets.terminal.screen import HISTORY, Frame
from desktop.widgets.terminal.styled_runs import Row, cut, text_of

MARGIN = 8
RESIZE_MS = 80  # until a new size is sent
LEAST = (20, 4)
WHEEL_LINES = 3
EMPTY = Frame(80, (), (), None, False, False, False)

type Cell = tuple[int, int]  # line, counted from the oldest in history; column


class TerminalView(QAbstractScrollArea):
    """`typed` is what goes to the program. `grid`: how many columns and rows there is room for."""

    typed = Signal(bytes)
    resized = Signal(int, int)
    left = Signal()  # Shift+Escape

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._paint = TerminalPaint(theme)
        self.frame_shown = EMPTY
        self.history: deque[Row] = deque(maxlen=HISTORY)
        self.is_live = False  # a program reads the keys
        self._anchor: Cell | None = None
        self._caret: Cell | None = None
        self._sent_size = (0, 0)
        self._resize = QTimer(self, singleShot=True, interval=RESIZE_MS)
        self._resize.timeout.connect(self._send_size)
        self.setProperty("kind", "card")
        self.setViewportMargins(MARGIN, MARGIN, 2, MARGIN)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.verticalScrollBar().valueChanged.connect(self.viewport().update)
        theme.changed.connect(self._apply_theme)

    # For the tab

    @property
    def grid(self) -> tuple[int, int]:
        columns = int(self.viewport().width() / self._paint.width)
        return max(LEAST[0], columns), max(LEAST[1], self.viewport().height() // self._paint.height)

    def show_frame(self, frame: Frame) -> None:
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum()
        before = len(self.history)
        self.history.extend(frame.scrolled)
        lost = before + len(frame.scrolled) - len(self.history)
        if lost and self._anchor and self._caret:
            self._anchor = (self._anchor[0] - lost, self._anchor[1])
            self._caret = (self._caret[0] - lost, self._caret[1])
        self.frame_shown = frame
        value = bar.value()
        bar.setRange(0, len(self.history))
        bar.setPageStep(max(1, len(frame.rows)))
        bar.setValue(bar.maximum() if at_end else max(0, value - lost))
        self.viewport().update()

    def forget(self) -> None:
        """Begin a new session: the old output stays above, as history."""
        rows = self.frame_shown.rows
        while rows and not text_of(rows[-1]):
            rows = rows[:-1]
        self.history.extend(rows)
        self.show_frame(EMPTY)

    def text(self) -> str:
        """The text on the screen, for screen readers and tests."""
        return "\n".join(map(text_of, self.frame_shown.rows)).rstrip()

    def selected_text(self) -> str:
        span = self._selection()
        if span is None:
            return ""
        (first, left), (last, right) = span
        lines = []
        for number in range(first, last + 1):
            start = left if number == first else 0
            end = right if number == last else self.frame_shown.columns
            lines.append(cut(self._line(number), start, end).rstrip())
        return "\n".join(lines)

    def copy(self) -> None:
        text = self.selected_text()
        if text:
            QGuiApplication.clipboard().setText(text)

    def paste(self, mode: QClipboard.Mode = QClipboard.Mode.Clipboard) -> None:
        text = QGuiApplication.clipboard().text(mode)
        if not text:
            return
        text = text.replace("\r\n", "\r").replace("\n", "\r")
        if self.frame_shown.bracketed_paste:
            text = text.replace("\x1b[201~", "")
            text = f"\x1b[200~{text}\x1b[201~"
        self._type(text.encode())

    # Geometry

    def _line(self, number: int) -> Row:
        if number < len(self.history):
            return self.history[number]
        place = number - len(self.history)
        return self.frame_shown.rows[place] if place < len(self.frame_shown.rows) else ()

    def _cell_at(self, point: QPoint) -> Cell:
        line = self.verticalScrollBar().value() + point.y() // self._paint.height
        column = round(point.x() / self._paint.width)
        line = max(0, min(line, len(self.history) + len(self.frame_shown.rows) - 1))
        return line, max(0, min(column, self.frame_shown.columns))

    def _selection(self) -> tuple[Cell, Cell] | None:
        if self._anchor is None or self._caret is None or self._anchor == self._caret:
            return None
        return min(self._anchor, self._caret), max(self._anchor, self._caret)

    def _type(self, data: bytes) -> None:
        if data:
            self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())
            self._anchor = self._caret = None
            self.typed.emit(data)

    def _send_size(self) -> None:
        if self.grid != self._sent_size:
            self._sent_size = self.grid
            self.resized.emit(*self.grid)

    def _apply_theme(self) -> None:
        self._paint.apply_theme()
        self.viewport().update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        top = self.verticalScrollBar().value()
        lines = self.viewport().height() // self._paint.height + 1
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), self._theme.color("surface"))
        for place in range(lines):
            self._paint.row(painter, self._line(top + place), place, self._selected(top + place))
        if self.frame_shown.cursor is not None and self.is_live:
            column, line = self.frame_shown.cursor
            number = len(self.history) + line
            under = cut(self._line(number), column, column + 1)
            self._paint.cursor(painter, column, number - top, under, self.hasFocus())
        painter.end()

    def _selected(self, number: int) -> tuple[int, int]:
        """Which columns of a line are."""
        span = self._selection()
        if span is None or not span[0][0] <= number <= span[1][0]:
            return 0, 0
        left = span[0][1] if number == span[0][0] else 0
        return left, span[1][1] if number == span[1][0] else self.frame_shown.columns

    # Qt

    def event(self, event: QEvent) -> bool:
        """In here every key is the program's, but the window's own, copy and paste."""
        if not self.is_live or not isinstance(event, QKeyEvent) or _is_of_the_window(event):
            return super().event(event)
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress:  # Qt would move the focus with Tab
            self.keyPressEvent(event)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        held, key = event.modifiers(), event.key()
        shift = bool(held & Qt.KeyboardModifier.ShiftModifier)
        control = bool(held & Qt.KeyboardModifier.ControlModifier)
        bar = self.verticalScrollBar()
        if control and shift and key == Qt.Key.Key_C:
            self.copy()
        elif control and shift and key == Qt.Key.Key_V:
            self.paste()
        elif shift and key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            pages = -1 if key == Qt.Key.Key_PageUp else 1
            bar.setValue(bar.value() + pages * bar.pageStep())
        elif shift and key == Qt.Key.Key_Insert:
            self.paste()
        elif shift and key == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            self._type(key_bytes(event, self.frame_shown.application_arrows))

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:  # noqa: N802
        self._type(event.commitString().encode())
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """A full-screen program has no scrollback: it gets arrow keys."""
        if not self.frame_shown.second_screen or not event.angleDelta().y():
            super().wheelEvent(event)
            return
        key = Qt.Key.Key_Up if event.angleDelta().y() > 0 else Qt.Key.Key_Down
        press = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier)
        self._type(WHEEL_LINES * key_bytes(press, self.frame_shown.application_arrows))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._resize.start()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self._anchor = self._caret = self._cell_at(event.position().toPoint())
            self.viewport().update()
        elif event.button() == Qt.MouseButton.MiddleButton:
            clipboard = QGuiApplication.clipboard()
            other = clipboard.supportsSelection()
            self.paste(QClipboard.Mode.Selection if other else QClipboard.Mode.Clipboard)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.buttons() & Qt.MouseButton.LeftButton and self._anchor is not None:
            point = event.position().toPoint()
            bar = self.verticalScrollBar()
            if point.y() < 0:
                bar.setValue(bar.value() - 1)
            elif point.y() > self.viewport().height():
                bar.setValue(bar.value() + 1)
            self._caret = self._cell_at(point)
            self.viewport().update()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:  # noqa: N802
        clipboard = QGuiApplication.clipboard()
        if clipboard.supportsSelection() and self._selection():
            clipboard.setText(self.selected_text(), QClipboard.Mode.Selection)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        line, column = self._cell_at(event.position().toPoint())
        text = cut(self._line(line), 0, self.frame_shown.columns)
        left = text.rfind(" ", 0, min(column, len(text))) + 1
        right = text.find(" ", column)
        self._anchor = (line, left)
        self._caret = (line, right if right >= 0 else len(text.rstrip()))
        self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        menu = Menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy = menu.addAction(tr("Copy"), self.copy)
        copy.setEnabled(self._selection() is not None)
        paste = menu.addAction(tr("Paste"), self.paste)
        paste.setEnabled(self.is_live)
        menu.popup(event.globalPos())


def _is_of_the_window(event: QKeyEvent) -> bool:
    """Ctrl+Tab, Ctrl+K and Ctrl+1…9. Escape, F5, Ctrl+F and Ctrl+W stay the program's: editors and
    shells live by them."""
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    if event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
        return held & ~shift == control
    digit = Qt.Key.Key_1 <= event.key() <= Qt.Key.Key_9
    return held == control and (digit or event.key() == Qt.Key.Key_K)
