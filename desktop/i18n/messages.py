"""Messages of the engine in the window's language.

    said(status.boot[-1].text)      summary(problem)      hint(problem)      told(problem)

A message crosses the control socket as a code and values. The window looks the code up in the
catalogue, translates the template (context "engine" in the file of a language) and fills in the
values. A code of a newer supervisor is not in the catalogue; the English sentence that came with it
is shown. What dockerd and other programs say has no code, and stays as it is. Next: `text.py`.
"""

from PySide6.QtCore import QCoreApplication, QLocale

from desktop.i18n.text import ENGINE, size, tr
from engine.messages import catalogue
from vm.errors import Problem
from vm.messages import HINT, English, Text


class Localized(English):
    """Values as they are written where the user is."""

    def nested(self, text: Text) -> str:
        return said(text)

    def size(self, number: float) -> str:
        return size(number)

    def format_field(self, value: object, format_spec: str) -> str:
        if isinstance(value, float) and format_spec.endswith("f"):
            decimals = int(format_spec[1:-1])
            return QLocale().toString(value, "f", decimals)
        return super().format_field(value, format_spec)


LOCALIZED = Localized()


def said(text: Text) -> str:
    """A sentence of the engine in the window's language; English where its code is not known."""
    if not text.code:
        return tr(text.english) if text.english else ""
    message = catalogue().get(text.code.removesuffix(HINT))
    if message is None:
        return text.english
    template = message.hint if text.code.endswith(HINT) else message.summary
    try:
        translated = QCoreApplication.translate(ENGINE, template) if template else ""
        return LOCALIZED.fill(translated, text.values)
    except (KeyError, ValueError):  # a newer supervisor gives other values
        return text.english


def summary(problem: Problem) -> str:
    return said(problem.text)


def hint(problem: Problem) -> str:
    return said(problem.hint_text)


def told(problem: Problem, gap: str = " ") -> str:
    """What happened, and what to do."""
    return gap.join(filter(None, (summary(problem), hint(problem))))
