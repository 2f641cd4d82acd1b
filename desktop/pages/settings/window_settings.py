"""The settings of the window itself: colours and language. They are the window's own
(`desktop/prefs.py`), not the engine's.
"""

from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QComboBox

from desktop.context import AppContext
from desktop.i18n.text import languages, tr
from desktop.pages.settings.editors import calm_box
from desktop.pages.settings.fields import FormRow, Section


class WindowSection(Section):
    def __init__(self, app: AppContext) -> None:
        self._theme = app.theme
        choices = {"system": tr("Same as the system"), "light": tr("Light"), "dark": tr("Dark")}
        self.scheme = _box(tr("Colours"), choices, app.theme.choice)
        self.scheme.activated.connect(lambda _i: app.use_scheme(self.scheme.currentData()))
        colours = tr("Light, dark, or the same as the system.")
        super().__init__(
            tr("Window"), [FormRow(tr("Colours"), colours, self.scheme), _language(app)]
        )
        app.theme.changed.connect(self.follow)

    def follow(self) -> None:
        """The palette can change it too."""
        self.scheme.setCurrentIndex(self.scheme.findData(self._theme.choice))


def _own_name(code: str) -> str:
    """A language's name in that language; for English without the country, which Qt adds."""
    name = QLocale.languageToString(QLocale(code).language())
    return name if name == "English" else QLocale(code).nativeLanguageName().capitalize()


def _language(app: AppContext) -> FormRow:
    names = {code: _own_name(code) for code in languages()}
    choices = {"": tr("Same as the system"), **names}
    box = _box(tr("Language"), choices, app.prefs.text("language"))
    box.activated.connect(lambda _index: app.prefs.set_text("language", box.currentData()))
    return FormRow(tr("Language"), tr("Takes effect when the window is opened again."), box)


def _box(name: str, choices: dict[str, str], chosen: str) -> QComboBox:
    made = calm_box()
    made.setAccessibleName(name)
    for key, words in choices.items():
        made.addItem(words, key)
    made.setCurrentIndex(max(0, made.findData(chosen)))
    return made
