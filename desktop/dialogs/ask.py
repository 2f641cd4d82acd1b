"""Asks for one line of text."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLineEdit, QVBoxLayout, QWidget

from desktop.i18n.text import tr
from desktop.widgets.basics import button, label, row


def ask_text(
    parent: QWidget,
    title: str,
    question: str,
    given: str,
    agree: str,
    then: Callable[[str], object],
) -> QDialog:
    """Calls `then` with what was typed, stripped and not empty."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(title)
    dialog.setMinimumWidth(420)
    field = QLineEdit(given)
    field.setAccessibleName(question)
    ok = button(agree, dialog.accept, "primary")
    ok.setDefault(True)
    ok.setEnabled(bool(given.strip()))
    field.textChanged.connect(lambda text: ok.setEnabled(bool(text.strip())))
    box = QVBoxLayout(dialog)
    box.setContentsMargins(24, 20, 24, 16)
    box.setSpacing(10)
    box.addWidget(label(title, "heading", wrap=True))
    box.addWidget(label(question, "secondary"))
    box.addWidget(field)
    box.addLayout(row(1, button(tr("Cancel"), dialog.reject), ok))
    dialog.accepted.connect(lambda: then(field.text().strip()))
    field.selectAll()
    field.setFocus()
    dialog.open()
    return dialog
