"""A text editor with line numbers: JSON in colour, errors marked.

Tab moves to the next control; Enter keeps the indent.
"""

import re

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from desktop.theme.theme import Theme, monospace

JSON = re.compile(
    r'(?P<name>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<word>\b(?:true|false|null)\b|-?\b\d[\d.eE+-]*)"
)
JSON_COLORS = {"name": "accent", "text": "running", "word": "paused"}
DIFF_COLORS = {"+": "running", "-": "error"}
INDENT = "  "


class Colors(QSyntaxHighlighter):
    """Of JSON, or of a difference between two texts."""

    def __init__(self, theme: Theme, document: QTextDocument, *, difference: bool = False) -> None:
        super().__init__(document)
        self._theme = theme
        self._difference = difference
        theme.changed.connect(self.rehighlight)

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        if self._difference:
            color = DIFF_COLORS.get(text[:1])
            if color:
                self.setFormat(0, len(text), self._in(color))
            return
        for found in JSON.finditer(text):
            kind = found.lastgroup or ""
            self.setFormat(found.start(), found.end() - found.start(), self._in(JSON_COLORS[kind]))

    def _in(self, color: str) -> QTextCharFormat:
        made = QTextCharFormat()
        made.setForeground(self._theme.color(color))
        return made


class CodeEdit(QPlainTextEdit):
    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self.theme = theme
        self.wrong: tuple[int, int] | None = None
        self.setFont(monospace())
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._colors = Colors(theme, self.document())
        self._numbers = _Numbers(self)
        self.blockCountChanged.connect(lambda _count: self._make_room())
        self.updateRequest.connect(self._follow)
        theme.changed.connect(self._apply_theme)
        self._make_room()

    def mark(self, wrong: tuple[int, int] | None) -> None:
        """The line and the column, from 1, where something is wrong; None where nothing is."""
        if wrong == self.wrong:
            return
        self.wrong = wrong
        self.setProperty("wrong", wrong is not None)
        self.style().unpolish(self)
        self.style().polish(self)
        self._apply_theme()

    def numbers_width(self) -> int:
        digits = max(2, len(str(self.blockCount())))
        return 20 + digits * self.fontMetrics().horizontalAdvance("9")

    def paint_numbers(self, painter: QPainter, area: QRect) -> None:
        painter.fillRect(area, self.theme.color("surface"))
        painter.setPen(self.theme.color("line"))
        edge = self._numbers.width() - 4
        painter.drawLine(edge, area.top(), edge, area.bottom())
        painter.setFont(self.font())
        block = self.firstVisibleBlock()
        where = self.blockBoundingGeometry(block).translated(self.contentOffset())
        width = self._numbers.width() - 10
        while block.isValid() and where.top() <= area.bottom():
            number = block.blockNumber() + 1
            is_wrong = self.wrong is not None and number == self.wrong[0]
            painter.setPen(self.theme.color("error" if is_wrong else "secondary"))
            line = QRect(0, round(where.top()), width, self.fontMetrics().height())
            painter.drawText(line, int(Qt.AlignmentFlag.AlignRight), str(number))
            block = block.next()
            where = self.blockBoundingGeometry(block).translated(self.contentOffset())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            before = self.textCursor().block().text()[: self.textCursor().positionInBlock()]
            indent = before[: len(before) - len(before.lstrip())]
            deeper = INDENT if before.rstrip().endswith(("{", "[")) else ""
            self.insertPlainText("\n" + indent + deeper)
            self.ensureCursorVisible()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._place_numbers()

    def _make_room(self) -> None:
        self.setViewportMargins(self.numbers_width(), 0, 0, 0)
        self._place_numbers()

    def _place_numbers(self) -> None:
        inside = self.viewport().geometry()
        width = self.numbers_width()
        self._numbers.setGeometry(inside.left() - width, inside.top(), width, inside.height())

    def _follow(self, area: QRect, scrolled: int) -> None:
        if scrolled:
            self._numbers.scroll(0, scrolled)
        else:
            self._numbers.update(0, area.y(), self._numbers.width(), area.height())

    def _apply_theme(self) -> None:
        marks = []
        if self.wrong is not None:
            mark = QTextEdit.ExtraSelection()
            tint = QColor(self.theme.color("error"))
            tint.setAlpha(40)
            mark.format.setBackground(tint)
            mark.format.setProperty(QTextFormat.Property.FullWidthSelection, True)
            mark.cursor = self.textCursor()
            block = self.document().findBlockByNumber(self.wrong[0] - 1)
            mark.cursor.setPosition(block.position() if block.isValid() else 0)
            marks.append(mark)
        self.setExtraSelections(marks)
        self._numbers.update()


class _Numbers(QWidget):
    """The strip at the left."""

    def __init__(self, edit: CodeEdit) -> None:
        super().__init__(edit)
        self._edit = edit

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(self._edit.numbers_width(), 0)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        self._edit.paint_numbers(QPainter(self), event.rect())
