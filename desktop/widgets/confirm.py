"""Asks before something is lost."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QLineEdit, QVBoxLayout, QWidget

from desktop.context import DestructivePrompt
from desktop.i18n.text import plain, tr
from desktop.widgets.basics import button, label, row
from desktop.widgets.name_list import NameList


class Confirm(QDialog):
    """Shows what is lost and what is kept; Enter alone does not confirm. `then` gets whether the
    check box, if there is one, was checked."""

    def __init__(
        self, prompt: DestructivePrompt, then: Callable[[bool], object], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(prompt.title)
        self.setMinimumWidth(420)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 16)
        box.setSpacing(10)
        box.addWidget(label(prompt.title, "heading", wrap=True))
        if len(prompt.names) > 1:
            self.names = NameList(tr("What would be deleted"))
            box.addWidget(self.names)
            self.names.show_names(prompt.names)
        box.addWidget(label(prompt.loses, wrap=True))
        if prompt.keeps:
            box.addWidget(label(prompt.keeps, "secondary", wrap=True))
        self.choice = QCheckBox(plain(prompt.choice))
        if prompt.choice:
            box.addWidget(self.choice)
        self.agree = button(prompt.button, self.accept, "danger")
        self.word = QLineEdit()
        if prompt.word:
            box.addWidget(label(tr("Type {word} to continue:", word=prompt.word), "secondary"))
            self.word.setAccessibleName(tr("Type {word} to continue:", word=prompt.word))
            self.word.textChanged.connect(
                lambda text: self.agree.setEnabled(text.strip() == prompt.word)
            )
            box.addWidget(self.word)
            self.agree.setEnabled(False)
        cancel = button(tr("Cancel"), self.reject)
        cancel.setDefault(not prompt.word)
        box.addSpacing(6)
        box.addLayout(row(1, cancel, self.agree))
        self.accepted.connect(lambda: then(self.choice.isChecked()))
        (self.word if prompt.word else cancel).setFocus()
