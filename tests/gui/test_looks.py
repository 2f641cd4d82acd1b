"""Drawing: focus rings, heights of cards, corners, and the colour of placeholders."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QMenu

from desktop.app import App
from desktop.pages.list_page import ListPage
from desktop.palette import Palette
from desktop.theme.tokens import ROW_HEIGHT
from desktop.widgets.list.table import Table
from engine.docker.client import DockerClient
from engine.docker.types import RunSpec
from tests.gui.conftest import WaitFor
from tests.unit.desktop.theme.test_theme import ENOUGH, contrast
from tests.unit.engine.bridge.servers import IMAGE

ROWS = 3


@pytest.fixture
def page(app: App, client: DockerClient, wait_for: WaitFor) -> ListPage:
    for number in range(ROWS):
        client.containers.create(RunSpec(IMAGE, f"looked-at-{number}", ("true",), network="none"))
    found = app.window.pages["containers"]
    assert isinstance(found, ListPage)
    app.window.go("containers")
    app.window.activateWindow()
    wait_for(lambda: app.window.isActiveWindow() and found.model.rowCount() == ROWS)
    return found


def test_the_focus_ring_is_drawn_for_the_keyboard_only(page: ListPage, wait_for: WaitFor) -> None:
    table = page.table
    page.filter.setFocus()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 10))
    assert table.hasFocus()
    assert not table.property("ring")
    assert edge(table) == page.app.theme.tokens.line.lower()
    QTest.keyClick(table, Qt.Key.Key_Backtab, Qt.KeyboardModifier.ShiftModifier)
    assert not table.hasFocus()
    QTest.keyClick(page.window().focusWidget(), Qt.Key.Key_Tab)
    assert table.hasFocus()
    assert edge(table) == page.app.theme.tokens.accent.lower()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 10))
    assert edge(table) == page.app.theme.tokens.line.lower()


def edge(table: Table) -> str:
    """The colour of the border, in the middle of its left side."""
    return table.grab().toImage().pixelColor(0, table.height() // 2).name()


def test_a_card_ends_at_its_last_row(
    page: ListPage, client: DockerClient, wait_for: WaitFor
) -> None:
    table = page.table
    rows = table.viewport()
    wait_for(lambda: 0 <= rows.height() - ROWS * ROW_HEIGHT <= 4)
    for container in client.containers.list():
        if container.name == "looked-at-0":
            client.containers.remove(container.id, force=True)
    wait_for(lambda: 0 <= rows.height() - (ROWS - 1) * ROW_HEIGHT <= 4)
    page.window().resize(900, 520)
    for number in range(12):
        client.containers.create(RunSpec(IMAGE, f"more-{number}", ("true",), network="none"))
    wait_for(lambda: page.model.rowCount() == 12 + ROWS - 1)
    assert table.verticalScrollBar().maximum() > 0  # and all of them can be scrolled to


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_placeholder_is_legible(page: ListPage, scheme: str) -> None:
    theme = page.app.theme
    theme.choose(scheme)
    try:
        field = page.filter
        assert isinstance(field, QLineEdit)
        field.ensurePolished()
        color = field.palette().color(QPalette.ColorRole.PlaceholderText)
        assert color.alpha() == 255
        assert contrast(color.name(), theme.tokens.surface) >= ENOUGH
    finally:
        theme.choose("light")


def test_menus_and_the_palette_have_round_corners(
    app: App, page: ListPage, wait_for: WaitFor
) -> None:
    page.table.choose(page.model.lines[0].key)
    page.table.menu_wanted.emit(page.model.lines[0], page.mapToGlobal(QPoint(300, 200)))
    menu = next(one for one in page.findChildren(QMenu) if one.isVisible())
    app.window.show_palette()
    palette = app.window.findChild(Palette)
    assert palette is not None
    for window in (palette, menu):
        mask = window.mask()
        assert not mask.isEmpty()
        assert not mask.contains(QPoint(0, 0))
        assert mask.contains(window.rect().center())
        window.close()


def test_the_palette_has_round_corners_at_every_height(
    app: App, page: ListPage, wait_for: WaitFor
) -> None:
    app.window.show_palette()
    palette = app.window.findChild(Palette)
    assert palette is not None
    high = palette.height()
    palette.field.setText("matches nothing at all")
    wait_for(lambda: palette.height() < high)
    assert not palette.mask().contains(QPoint(0, palette.height() - 1))
    palette.field.clear()
    wait_for(lambda: palette.height() == high)
    assert palette.mask().contains(QPoint(palette.width() // 2, high - 1))
    palette.close()
