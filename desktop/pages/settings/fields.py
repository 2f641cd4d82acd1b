"""A setting on the page: its label, its editor, its default and its error.

Next: `page.py`.
"""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.pages.settings.editors import Editor, editor
from desktop.widgets.basics import button, column, label, line, row
from engine.settings.setting import Kind, Setting, Value
from engine.settings.store import Entry
from vm.errors import Problem, SettingsError


class FormRow(QWidget):
    """Title and text at the left, the editor at the right, or below if it is `wide`; notes at the
    end."""

    def __init__(
        self, title: str, text: str, edit: QWidget, extra_words: str = "", *, wide: bool = False
    ) -> None:
        super().__init__()
        self._searched = f"{title} {text} {extra_words}".lower()
        title_label = label(title, "heading")
        title_label.setBuddy(edit)
        about = label(text, "secondary", wrap=True)
        words = column(title_label, about, 1, gap=2)
        if wide:
            self.box = column(words, edit, gap=8)
        else:
            upper = row(words, edit, gap=24)
            upper.setStretch(0, 1)
            upper.setAlignment(edit, Qt.AlignmentFlag.AlignTop)
            self.box = column(upper, gap=4)
        self.box.setContentsMargins(0, 10, 0, 10)
        self.setLayout(self.box)
        about.setVisible(bool(text))  # not before: without a parent it would be a window

    def matches(self, wanted: str) -> bool:
        """Every word that is searched for occurs."""
        return all(word in self._searched for word in wanted.lower().split())


class Field(FormRow):
    """Calls `give` or `reset` for a change; the result arrives as `show_entry`, `settle` or
    `refuse`."""

    def __init__(
        self,
        entry: Entry,
        give: Callable[[Setting, Value], object],
        reset: Callable[[str], object],
    ) -> None:
        setting = entry.setting
        self.editor: Editor = editor(setting)
        super().__init__(tr(setting.label), tr(setting.help), self.editor, setting.name)
        self.entry = entry
        self._is_refused = False
        self.default = label("", "secondary")
        self.reset = button(
            tr("Reset"),
            lambda: reset(setting.name),
            "link",
            name=tr("Reset {setting}", setting=tr(setting.label)),
        )
        self.wrong = label("", "error", wrap=True)
        self.wrong.hide()
        lower = row(self.wrong, self.default, self.reset, gap=4)
        lower.setStretch(0, 1)
        lower.insertStretch(1)
        self.box.addLayout(lower)
        self.editor.doubted.connect(self._say)
        self.editor.given.connect(lambda value: give(setting, value))
        self._show(entry)

    def show_entry(self, entry: Entry) -> None:
        """Show the current value. A typed value that was refused stays until it is corrected."""
        news = entry.value != self.entry.value or entry.is_set != self.entry.is_set
        if entry.setting != self.entry.setting:
            self.editor.setting = entry.setting
        self.entry = entry
        if news:
            self._is_refused = False
        if news or not (self._is_refused or self.is_edited):
            self._show(entry)

    @property
    def is_edited(self) -> bool:
        return self.editor.field.hasFocus() or not self.wrong.isHidden()

    def settle(self) -> None:
        """The given value was accepted."""
        self._is_refused = False

    def refuse(self, problem: Problem) -> None:
        """The given value was refused."""
        self._is_refused = True
        self.editor.mark(True)
        known = problem.kind == SettingsError.__name__  # its hint repeats what stands here already
        self._say(messages.summary(problem) if known else messages.told(problem))

    def _show(self, entry: Entry) -> None:
        self.editor.show_value(entry.value)
        self.editor.mark(False)
        self._say("")
        self.default.setText(tr("Default: {value}", value=_default_words(entry.setting)))
        self.reset.setVisible(entry.is_set)

    def _say(self, sentence: str) -> None:
        self.wrong.setText(sentence)
        self.wrong.setVisible(bool(sentence))


def _default_words(setting: Setting) -> str:
    if setting.kind is Kind.SWITCH:
        return tr("On") if setting.default else tr("Off")
    return setting.text(setting.default) or tr("none")


class Section(QFrame):
    """A card of rows with a title above. Hidden when the search leaves none of them."""

    def __init__(self, title: str, rows: list[FormRow]) -> None:
        super().__init__()
        self.rows = rows
        inner = QFrame()
        inner.setProperty("kind", "card")
        box = QVBoxLayout(inner)
        box.setContentsMargins(16, 4, 16, 4)
        box.setSpacing(0)
        self._lines = []
        for number, one in enumerate(rows):
            if number:
                rule = line()
                self._lines.append((rule, one))
                box.addWidget(rule)
            box.addWidget(one)
        whole = column(label(title, "heading"), inner, gap=8)
        self.setLayout(whole)

    def search(self, wanted: str) -> bool:
        """Show the matching rows. Returns whether there are any."""
        for one in self.rows:
            one.setVisible(one.matches(wanted))
        left = [one for one in self.rows if one.matches(wanted)]
        for rule, one in self._lines:
            rule.setVisible(one in left[1:])
        self.setVisible(bool(left))
        return bool(left)
