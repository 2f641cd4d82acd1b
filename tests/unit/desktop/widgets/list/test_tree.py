"""How a tree marks its current row."""

from PySide6.QtGui import QPalette, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.widgets.list.tree import Tree


def test_lines_are_drawn_around_the_current_row_while_the_tree_has_the_focus(
    qapp: QApplication, qtbot: QtBot
) -> None:
    tree, model = Tree(), QStandardItemModel()
    qtbot.addWidget(tree)
    for number in range(3):
        model.appendRow([QStandardItem(str(number)), QStandardItem("beside it")])
    tree.setModel(model)
    tree.setCurrentIndex(model.index(1, 0))
    with qtbot.waitExposed(tree):
        tree.show()
    tree.activateWindow()
    tree.setFocus()
    qtbot.waitUntil(tree.hasFocus)
    accent = qapp.palette().color(QPalette.ColorRole.Highlight)

    def rows_with_lines() -> set[int]:
        picture = tree.viewport().grab().toImage()
        rects = {row: tree.visualRect(model.index(row, 1)) for row in range(3)}
        return {
            row
            for row, rect in rects.items()
            if picture.pixelColor(rect.right() - 2, rect.top()) == accent
            and picture.pixelColor(rect.right() - 2, rect.bottom()) == accent
            and picture.pixelColor(rect.right() - 2, rect.center().y()) != accent
        }

    tree.clearSelection()
    assert rows_with_lines() == {1}
    tree.clearFocus()
    assert rows_with_lines() == set()
