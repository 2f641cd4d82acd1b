"""Shows the focus ring on a widget that got the focus by keyboard, not by a click.

A style sheet knows `:focus` only. The focused widget has the property `ring` while its focus came
by Tab or a key of the window; text fields show `:focus` always. Next: `desktop/theme/style.py`.
"""

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget


class FocusRing(QObject):
    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._by_keys = False
        app.focusChanged.connect(self._follow)

    def _follow(self, before: QWidget | None, now: QWidget | None) -> None:
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._by_keys = False
        elif now is not None and now.window().testAttribute(
            Qt.WidgetAttribute.WA_KeyboardFocusChange
        ):
            self._by_keys = True  # else a page has moved it: as it was before
        if before is not None:
            self._show(before, False)
        if now is not None:
            self._show(now, self._by_keys)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """A click removes the ring."""
        if event.type() == QEvent.Type.MouseButtonPress:
            self._by_keys = False
            now = QApplication.focusWidget()
            if now is not None:
                self._show(now, False)
        return False

    def _show(self, widget: QWidget, shown: bool) -> None:
        if bool(widget.property("ring")) == shown:
            return
        widget.setProperty("ring", shown)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
        clicked = widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget
        if shown:
            clicked.installEventFilter(self)
        else:
            clicked.removeEventFilter(self)
