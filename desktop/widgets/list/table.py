"""The list of every page: a view over `RowsModel`, with buttons and links in the rows.

Rows are painted whole; their buttons are not widgets, so that a thousand rows cost nothing. The
context menu has the same actions, for the keyboard. Next: `row_style.py` (the style of a row),
`row_delegate.py`.
"""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QTreeView,
    QWidget,
)

from desktop.i18n.text import tip
from desktop.models.rows import LINE_ROLE, Cell, ListLine, RowsModel
from desktop.theme.theme import Theme
from desktop.theme.tokens import ROW_HEIGHT
from desktop.widgets.list.row_delegate import RowGeometry, button_at, draw_row, link_at
from desktop.widgets.list.row_style import RowStyler

type Index = QModelIndex | QPersistentModelIndex


class RowHeight(QStyledItemDelegate):
    """The same for all rows. The table paints the rows itself."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        del option, index
        return QSize(40, ROW_HEIGHT)


class Table(QTreeView):
    """`opened`: Enter or a double click. `pressed_button`: name of the button, line. `menu_wanted`:
    line and place on the screen. `link_wanted`: line and number of the link."""

    opened = Signal(object)
    pressed_button = Signal(str, object)
    menu_wanted = Signal(object, QPoint)
    link_wanted = Signal(object, int)
    toggle_wanted = Signal(object)
    delete_wanted = Signal()
    switch_wanted = Signal()
    visible_changed = Signal()

    def __init__(
        self, model: RowsModel[Any], theme: Theme, styler: RowStyler, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.rows = model
        self.hovered = -1
        self._is_narrow = False
        self.is_aimed = False  # the mouse is on something that a click would act on
        self._styler = styler
        self._theme = theme
        self.setModel(model)
        self.setItemDelegate(RowHeight(self))
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._set_columns()
        self._kept: tuple[str, list[str]] = ("", [])
        model.modelAboutToBeReset.connect(self._keep_choice)
        model.modelReset.connect(self._restore_choice)
        theme.changed.connect(self.viewport().update)
        # Once for many changes: a slot that asks for row positions makes Qt lay all rows out.
        self._moved = QTimer(self, singleShot=True, interval=0)
        self._moved.timeout.connect(self.visible_changed)
        self.verticalScrollBar().valueChanged.connect(self._moved.start)
        for signal in (
            model.rowsInserted,
            model.rowsRemoved,
            model.modelReset,
            model.layoutChanged,
        ):
            signal.connect(self._moved.start)
            signal.connect(self._end_at_last_row)
        self._end_at_last_row()

    def _end_at_last_row(self) -> None:
        """The card is no higher than its rows."""
        rows = self.rows.rowCount() * ROW_HEIGHT
        self.setMaximumHeight(self.header().height() + rows + 2 * self.frameWidth())

    def _set_columns(self) -> None:
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(36)
        header.setFixedHeight(33)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(False)  # the model's titles show the order
        for place, column in enumerate(self.rows.columns):
            mode = QHeaderView.ResizeMode.Interactive
            if column.stretch:
                mode = QHeaderView.ResizeMode.Stretch
            elif column.cell is Cell.ACTIONS:
                mode = QHeaderView.ResizeMode.Fixed
            header.setSectionResizeMode(place, mode)
            header.resizeSection(place, column.width)
        header.sectionClicked.connect(self._sort_by)

    def _sort_by(self, column: int) -> None:
        """One way, the other, the engine's own order; of numbers the largest first."""
        if self.rows.columns[column].cell is Cell.ACTIONS:
            return
        view = self.rows.view
        first = self.rows.columns[column].is_number
        descending = first
        if view.column == column:
            descending = not view.descending
            column = -1 if descending == first else column
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.rows.sort(column, order)
        self.scrollToTop()
        self._moved.start()

    # Selection

    def line(self, index: Index) -> ListLine | None:
        found: ListLine | None = index.data(LINE_ROLE) if index.isValid() else None
        return found

    def current_line(self) -> ListLine | None:
        return self.line(self.currentIndex())

    def selected_lines(self) -> list[ListLine]:
        indexes = self.selectionModel().selectedRows()
        return [line for line in map(self.line, sorted(indexes, key=lambda i: i.row())) if line]

    def visible_lines(self) -> list[ListLine]:
        """Those on the screen now."""
        top = self.indexAt(QPoint(2, 2))
        if not top.isValid():
            return []
        count = self.viewport().height() // ROW_HEIGHT + 2
        return self.rows.lines[top.row() : top.row() + count]

    def choose(self, key: str) -> None:
        place = self.rows.place(key)
        if place >= 0:
            self.setCurrentIndex(self.rows.index(place, 0))

    def _keep_choice(self) -> None:
        """Keep the selection over a model reset."""
        current = self.current_line()
        self._kept = (current.key if current else "", [one.key for one in self.selected_lines()])

    def _restore_choice(self) -> None:
        current, selected = self._kept
        self.choose(current)
        rows = QItemSelectionModel.SelectionFlag.Rows
        for key in selected:
            if (place := self.rows.place(key)) >= 0 and key != current:
                index = self.rows.index(place, 0)
                flag = QItemSelectionModel.SelectionFlag.Select
                self.selectionModel().select(index, flag | rows)

    def _leave_out_columns(self) -> None:
        columns = self.rows.columns
        missing = sum(column.width for column in columns) - self.viewport().width()
        is_narrow = missing > 0
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            for place, column in enumerate(columns):
                if column.narrow:
                    width = column.narrow if is_narrow else column.width
                    self.header().resizeSection(place, width)
        if is_narrow:
            missing -= sum(column.width - column.narrow for column in columns if column.narrow)
        for place in sorted(range(len(columns)), key=lambda place: -columns[place].leaves):
            hidden = columns[place].leaves > 0 and missing > 0
            missing -= columns[place].width if hidden else 0
            if hidden != self.isColumnHidden(place):
                self.setColumnHidden(place, hidden)

    # Mouse and keyboard

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        index = self.indexAt(event.position().toPoint())
        if index.row() != self.hovered:
            self.hovered = index.row()
            self.viewport().update()
        self.is_aimed = bool(self._target(event.position().toPoint()))
        shape = Qt.CursorShape.PointingHandCursor if self.is_aimed else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(shape)
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self.hovered, self.is_aimed = -1, False
        self.viewport().update()
        super().leaveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton and self._target(event.position().toPoint()):
            event.accept()  # acts on release, and must not change the selection
            return
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        place = event.position().toPoint()
        act = self._target(place) if event.button() == Qt.MouseButton.LeftButton else None
        if act is not None:
            act(self.viewport().mapToGlobal(place))
            return
        super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        place = event.position().toPoint()
        line = self.line(self.indexAt(place))
        if line is not None and self._target(place) is None:
            self._open(line)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        line = self.current_line()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and line is not None:
            self._open(line)
        elif event.key() == Qt.Key.Key_Space and line is not None:
            self.switch_wanted.emit()
        elif event.key() == Qt.Key.Key_Delete and self.selected_lines():
            self.delete_wanted.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        index = self.indexAt(event.pos()) if by_mouse else self.currentIndex()
        line = self.line(index)
        if line is not None:
            place = event.pos() if by_mouse else self.visualRect(index).center()
            self.menu_wanted.emit(line, self.viewport().mapToGlobal(place))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._leave_out_columns()
        self.visible_changed.emit()

    def drawRow(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: N802
        number = index.row()
        if number >= len(self.rows.lines):
            return
        line, header, rect = self.rows.lines[number], self.header(), option.rect
        cells = [
            (column, header.sectionViewportPosition(column), header.sectionSize(column))
            for column in range(len(self.rows.columns))
            if not header.isSectionHidden(column)
        ]
        place = RowGeometry(
            rect,
            cells,
            hovered=number == self.hovered,
            selected=self.selectionModel().isSelected(index),
            focused=self.hasFocus() and self.currentIndex().row() == number,
            folded=self.rows.is_folded(line.key),
        )
        draw_row(painter, place, line, self.rows, self._styler, self._theme, self.font())

    def _open(self, line: ListLine) -> None:
        if line.heading is not None:
            self.toggle_wanted.emit(line)
            self.rows.toggle(line.key)
        else:
            self.opened.emit(line)

    def _target(self, place: QPoint) -> Callable[[QPoint], object] | None:
        """The button, link or group arrow at this position."""
        index = self.indexAt(place)
        line = self.line(index)
        if line is None:
            return None
        rect = self.visualRect(index)
        cell = self.rows.columns[index.column()].cell
        if cell is Cell.ACTIONS:
            return self._button_at(line, rect, place)
        if cell is Cell.LINKS and line.heading is None:
            number = link_at(self._styler.links(line), rect, place, self.font())
            if number is not None:
                return lambda _where: self.link_wanted.emit(line, number)
        if line.heading is not None and index.column() == 0 and place.x() < rect.left() + 32:
            return lambda _where: self.rows.toggle(line.key)
        return None

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802
        """Tooltips of the buttons."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self.indexAt(event.pos())
            line, rect = self.line(index), self.visualRect(index)
            if line is not None and self.rows.columns[index.column()].cell is Cell.ACTIONS:
                button = button_at(self._styler.buttons(line), rect, event.pos())
                QToolTip.showText(event.globalPos(), tip(button.label if button else ""), self)
                return True
        return super().viewportEvent(event)

    def _button_at(
        self, line: ListLine, rect: QRect, place: QPoint
    ) -> Callable[[QPoint], object] | None:
        button = button_at(self._styler.buttons(line), rect, place)
        if button is None:
            return None
        name = button.name
        if name == "more":
            return lambda where: self.menu_wanted.emit(line, where)
        return lambda _where: self.pressed_button.emit(name, line)
