"""A tree whose current row is marked as in every list.

Qt would draw a raised button round the row, which no style sheet reaches.
"""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QApplication, QStyleOptionViewItem, QTreeView


class Tree(QTreeView):
    def drawRow(  # noqa: N802
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        super().drawRow(painter, option, index)
        current = self.currentIndex()
        if self.hasFocus() and current.siblingAtColumn(index.column()) == index:
            # Not the widget's palette: the style sheet has changed its selection colours.
            painter.setPen(QApplication.palette().color(QPalette.ColorRole.Highlight))
            painter.drawLine(option.rect.topLeft(), option.rect.topRight())
            painter.drawLine(option.rect.bottomLeft(), option.rect.bottomRight())
