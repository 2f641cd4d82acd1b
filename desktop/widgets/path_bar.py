"""A folder's path: each part is a button, and the whole path can be typed.

Ctrl+L or a click beside the parts starts typing; Enter goes there, Escape cancels.
"""

from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QStackedWidget, QWidget

from desktop.i18n.text import tr
from desktop.theme.theme import Theme, monospace
from desktop.widgets.basics import button, icon_button, label


class PathBar(QStackedWidget):
    """`wanted`: a path that the user wants to see. `left`: none, after all."""

    wanted = Signal(str)
    left = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.path = ""
        self.setFixedHeight(32)
        self._crumbs = QWidget()
        self._crumbs.setCursor(Qt.CursorShape.IBeamCursor)
        self._row = QHBoxLayout(self._crumbs)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self._parts: list[QWidget] = []
        self._row.addStretch(1)
        self._row.addWidget(icon_button(theme, "edit", tr("Enter a path"), self.edit))
        self.field = QLineEdit()
        self.field.setFont(monospace())
        self.field.setAccessibleName(tr("Path"))
        self.field.returnPressed.connect(self._go)
        for watched in (self._crumbs, self.field):
            watched.installEventFilter(self)
        self.addWidget(self._crumbs)
        self.addWidget(self.field)

    def show_path(self, path: str) -> None:
        self.path = path
        self.field.setText(path)
        self.setCurrentWidget(self._crumbs)
        for old in self._parts:
            self._row.removeWidget(old)
            old.hide()  # it is deleted later, and must not be seen until then
            old.deleteLater()
        names = [part for part in path.split("/") if part]
        self._parts = [self._part("/", "/", last=not names)]
        for number, name in enumerate(names):
            if number:
                self._parts.append(label("/", "secondary"))
            whole = "/" + "/".join(names[: number + 1])
            self._parts.append(self._part(name, whole, last=number == len(names) - 1))
        for number, part in enumerate(self._parts):
            self._row.insertWidget(number, part)

    def edit(self) -> None:
        self.field.setText(self.path)
        self.setCurrentWidget(self.field)
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()

    def _part(self, name: str, path: str, *, last: bool) -> QWidget:
        shown = name if len(name) <= 40 else f"{name[:38]}…"
        made = button(shown, partial(self.wanted.emit, path), "link", name=path, tip=path)
        made.setEnabled(not last)
        if last:
            made.setStyleSheet("font-weight: 600;")
        return made

    def _go(self) -> None:
        typed = self.field.text().strip()
        self.setCurrentWidget(self._crumbs)
        self.wanted.emit(typed if typed.startswith("/") else f"{self.path.rstrip('/')}/{typed}")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if watched is self._crumbs and isinstance(event, QMouseEvent):
            if event.type() == QEvent.Type.MouseButtonRelease:
                self.edit()
        elif watched is self.field and isinstance(event, QKeyEvent):
            escaped = event.type() in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride)
            if escaped and event.key() == Qt.Key.Key_Escape:
                event.accept()
                if event.type() == QEvent.Type.KeyPress:
                    self.setCurrentWidget(self._crumbs)
                    self.left.emit()
                return True
        return super().eventFilter(watched, event)
