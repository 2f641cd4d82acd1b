"""The frame of a detail view: back button, name, actions, and tabs that are made when they are
first shown. Next: `volumes/detail.py`.
"""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import (
    QFont,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)

from desktop.context import AppContext
from desktop.i18n.text import tip, tr
from desktop.pages.list_page import Detail
from desktop.theme.tokens import HEADER_HEIGHT
from desktop.widgets.basics import button, column, holder, icon_button, label, line
from desktop.widgets.levels import Levels

TITLE_WIDTH = 220  # pixels that a long title has before anything beside it
STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class Elided(QLabel):
    """A title that is shortened to make room for the widgets beside it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("kind", "title")
        self.setToolTip(tip(text))
        self.setMinimumWidth(80)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(min(80, self.sizeHint().width()), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        del event
        metrics = self.fontMetrics()
        shown = metrics.elidedText(self.text(), Qt.TextElideMode.ElideMiddle, self.width())
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter), shown)


class FramedDetail(Detail):
    """Subclasses add chips and buttons to `head`, and tabs with `add_tab`."""

    def __init__(self, app: AppContext, title: str, back: Callable[[], object]) -> None:
        super().__init__()
        self.app = app
        self.setAccessibleName(title)
        self.title = Elided(title)
        self.back_button = icon_button(app.theme, "back", tr("Back to the list"), back)
        self.head = QHBoxLayout()
        self.head.setContentsMargins(16, 0, 24, 0)
        self.head.setSpacing(8)
        for widget in (self.back_button, self.title):
            self.head.addWidget(widget)
        bar = holder(self.head)
        bar.setFixedHeight(HEADER_HEIGHT)
        self.strip = QHBoxLayout()
        self.strip.setContentsMargins(24, 0, 24, 0)
        self.strip.setSpacing(20)
        self.strip.addStretch(1)
        self.tabs: dict[str, QPushButton] = {}
        self.made: dict[str, QWidget] = {}
        self._makers: dict[str, Callable[[], QWidget]] = {}
        self._group = QButtonGroup(self)
        self.chips: tuple[QLabel, ...] = ()
        self._stack = QStackedWidget()
        self.gone = label("", "error", wrap=True)
        self.gone.hide()
        self.body = column(self.gone, self._stack)
        self.body.setContentsMargins(24, 12, 24, 16)
        self.setLayout(column(bar, self.strip, line(), self.body, gap=0))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for keys, by in (("Ctrl+Tab", 1), ("Ctrl+Shift+Tab", -1)):
            # Of the whole window, while this is shown: a tab that fills itself may lose the focus.
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(partial(self.step, by))

    def step_out(self) -> bool:
        shown: object = self._stack.currentWidget()
        return self._stack.isEnabled() and isinstance(shown, Levels) and shown.step_out()

    def add_to_head(self, *widgets: QWidget) -> None:
        for widget in widgets:
            self.head.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)

    def add_chips(self, *chips: QLabel) -> None:
        """Where there is not room for all, the last one goes first; an empty one is not shown."""
        self.chips = chips
        self.add_to_head(*chips)

    def fit_head(self) -> None:
        """The title goes before the chips."""
        self.widen_title()
        for count in range(len(self.chips), -1, -1):
            for place, chip in enumerate(self.chips):
                chip.setVisible(place < count and bool(chip.text()))
            self.head.invalidate()
            if self.head.minimumSize().width() <= self.width():
                return

    def widen_title(self) -> None:
        name = self.title.fontMetrics().horizontalAdvance(self.title.text()) + 4
        self.title.setMinimumWidth(min(name, TITLE_WIDTH))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self.fit_head()

    def add_tab(self, key: str, title: str, make: Callable[[], QWidget]) -> None:
        tab = button(title, lambda: self.show_tab(key), "tab")
        tab.setCheckable(True)
        bold = QFont(tab.font())
        bold.setWeight(QFont.Weight.DemiBold)  # as it is drawn when it is chosen
        tab.setMinimumWidth(QFontMetrics(bold).horizontalAdvance(title) + 8)
        tab.installEventFilter(self)
        self._group.addButton(tab)
        self.tabs[key], self._makers[key] = tab, make
        self.strip.insertWidget(self.strip.count() - 1, tab)

    def show_tab(self, tab: str) -> None:
        if tab not in self._makers:
            return
        if tab not in self.made:
            self.made[tab] = self._makers[tab]()
            self._stack.addWidget(self.made[tab])
        before = QApplication.focusWidget()
        had_focus = before is not None and self.isAncestorOf(before)
        self.tabs[tab].setChecked(True)
        self._stack.setCurrentWidget(self.made[tab])
        now = QApplication.focusWidget()
        if had_focus and not (now is not None and self.isAncestorOf(now)):
            self.tabs[tab].setFocus()  # Qt would focus a distant widget
        self.tab_shown(tab)

    def say_gone(self, sentence: str) -> None:
        """Show that the object no longer exists."""
        self.gone.setText(sentence)
        self.gone.show()
        self._stack.setEnabled(False)
        for place in range(2, self.head.count()):  # back and title stay
            item = self.head.itemAt(place)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setEnabled(False)

    def step(self, by: int) -> None:
        """Ctrl+Tab: the next tab, or the one before, with the focus in its content."""
        keys = list(self.tabs)
        here = next((n for n, tab in enumerate(self.tabs.values()) if tab.isChecked()), 0)
        wanted = keys[(here + by) % len(keys)]
        self.show_tab(wanted)
        shown = self.made.get(wanted)
        if shown is not None and shown.focusProxy() is not None:
            shown.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def rename(self, title: str) -> None:
        self.setAccessibleName(title)
        self.title.setText(title)
        self.title.setToolTip(tip(title))

    def show_instead(self, widget: QWidget) -> None:
        """Show `widget` in place of the tabs, which have nothing to show any more."""
        self._stack.hide()
        widget.show()

    def tab_shown(self, tab: str) -> None:
        """This one is in front now."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Left and right walk along the tabs."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        step = STEPS.get(Qt.Key(event.key()))
        if step is None:
            return False
        keys = list(self.tabs)
        here = next((n for n, tab in enumerate(self.tabs.values()) if tab is watched), 0)
        wanted = keys[(here + step) % len(keys)]
        self.show_tab(wanted)
        self.tabs[wanted].setFocus(Qt.FocusReason.TabFocusReason)
        return True
