"""Messages at the lower right edge: results of tasks, and errors. An error stays until it is closed
or seen; a success disappears by itself. Details open in a dialog, so that a toast never covers the
list.
"""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGraphicsDropShadowEffect,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from desktop.context import Action
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.theme import icons
from desktop.theme.theme import Theme, monospace
from desktop.widgets.basics import button, icon_button, label, row
from vm.errors import Problem, Retry

WIDTH = 380
SHOWN_MS = 6000
MOST = 4


class Toast(QFrame):
    """`about`: the task that the title refers to without naming it."""

    def __init__(
        self,
        theme: Theme,
        icon: str,
        color: str,
        title: str,
        text: str,
        actions: list[Action],
        about: str = "",
    ) -> None:
        super().__init__()
        self.setProperty("kind", "toast")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName(" ".join(filter(None, (about, title, text))))
        self.title, self.text, self.about = title, text, about
        picture = label()
        picture.setPixmap(icons.pixmap(icon, theme.color(color), 16))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        picture.setContentsMargins(0, 2, 0, 0)
        words = QVBoxLayout()
        words.setSpacing(4)
        if about:
            words.addWidget(label(about, "secondary", wrap=True))
        words.addWidget(label(title, "heading", wrap=True))
        if text:
            words.addWidget(label(text, "secondary", wrap=True))
        if actions:
            made = [button(say, self._then(do), "link") for say, do in actions]
            words.addLayout(row(*made, 1))
        close = icon_button(theme, "close", tr("Close"), self.close)
        close.setFixedSize(24, 24)
        box = row(picture, words, close, gap=10)
        box.setStretch(1, 1)
        box.setAlignment(close, Qt.AlignmentFlag.AlignTop)
        box.setContentsMargins(14, 12, 10, 12)
        self.setLayout(box)
        shadow = QGraphicsDropShadowEffect(self, blurRadius=24, yOffset=4, xOffset=0)
        shadow.setColor(theme.tokens.shadow)
        self.setGraphicsEffect(shadow)

    def _then(self, do: Callable[[], object]) -> Callable[[], object]:
        def act() -> None:
            self.close()
            do()

        return act


class Toasts(QObject):
    """Keeps them at the corner of `over`, newest lowest."""

    def __init__(self, theme: Theme, over: QWidget, margin_below: int) -> None:
        super().__init__(over)
        self._theme = theme
        self._over = over
        self._below = margin_below
        self.shown: list[Toast] = []
        self.pinned: list[QWidget] = []  # cards of others, below the toasts
        over.installEventFilter(self)

    def say(self, title: str, text: str = "", action: Action | None = None) -> Toast:
        toast = Toast(self._theme, "check", "running", title, text, [action] if action else [])
        self._show(toast)
        QTimer.singleShot(SHOWN_MS, toast, toast.close)
        return toast

    def complain(
        self,
        problem: Problem,
        retry: Callable[[], object] | None = None,
        action: Action | None = None,
        about: str = "",
    ) -> Toast:
        actions: list[Action] = [action] if action else []
        if retry is not None and problem.retry is not Retry.NO:
            actions.append((tr("Try again"), retry))
        if problem.details:
            actions.append((tr("Details"), lambda: self.show_details(problem)))
        summary, hint = messages.summary(problem), messages.hint(problem)
        toast = Toast(self._theme, "error", "error", summary, hint, actions, about)
        self._show(toast)
        return toast

    def pin(self, card: QWidget) -> None:
        """Show `card` until it is closed. Its width is fixed; its height may change."""
        card.setParent(self._over)
        card.installEventFilter(self)
        self.pinned.append(card)
        card.adjustSize()
        self._arrange()
        card.show()
        card.raise_()

    def clear(self) -> None:
        """Close all toasts; pinned cards stay, and close themselves."""
        for toast in self.shown[:]:
            toast.close()

    def show_details(self, problem: Problem) -> QDialog:
        dialog = QDialog(self._over)
        dialog.setWindowTitle(tr("Details"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.resize(640, 380)
        text = QPlainTextEdit(problem.details, readOnly=True)
        text.setFont(monospace())
        text.setAccessibleName(tr("Details"))
        whole = "\n".join(filter(None, (problem.summary, problem.hint, problem.details)))
        copy = button(tr("Copy"), lambda: QGuiApplication.clipboard().setText(whole))
        box = QVBoxLayout(dialog)
        box.setContentsMargins(20, 20, 20, 16)
        box.addWidget(label(messages.summary(problem), "heading", wrap=True))
        box.addWidget(label(messages.hint(problem), "secondary", wrap=True))
        box.addWidget(text)
        box.addLayout(row(1, copy, button(tr("Close"), dialog.close, "primary")))
        dialog.open()
        return dialog

    def _show(self, toast: Toast) -> None:
        same = [one for one in self.shown if one.accessibleName() == toast.accessibleName()]
        for old in same or self.shown[: max(0, len(self.shown) + 1 - MOST)]:
            old.close()
        toast.setParent(self._over)
        toast.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.shown.append(toast)
        toast.installEventFilter(self)
        toast.adjustSize()
        self._arrange()
        toast.show()
        toast.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if watched is self._over and event.type() == QEvent.Type.Resize:
            self._arrange()
        elif event.type() == QEvent.Type.Close and isinstance(watched, Toast):
            self.shown.remove(watched)
            self._arrange()
        elif watched in self.pinned:
            if event.type() == QEvent.Type.Close:
                self.pinned = [card for card in self.pinned if card is not watched]
                self._arrange()
            elif event.type() == QEvent.Type.Resize:
                self._arrange()
        return False

    def _arrange(self) -> None:
        bottom = self._over.height() - self._below - 16
        for card in reversed(self.pinned):
            bottom -= card.height()
            card.move(self._over.width() - card.width() - 20, bottom)
            bottom -= 10
        for toast in reversed(self.shown):
            height = toast.heightForWidth(WIDTH) or toast.sizeHint().height()
            toast.setGeometry(self._over.width() - WIDTH - 20, bottom - height, WIDTH, height)
            bottom -= height + 10
