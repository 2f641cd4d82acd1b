"""Messages of the engine in the window's language.

    said(status.boot[-1].text)      summary(problem)      hint(problem)      told(problem)

A message crosses the control socket as a code and values. The window looks the code up in the
catalogue, translates the template (context "engine" in the file of a language) and fills in the
values. A code of a newer supervisor is not in the catalogue; the English sentence that came with it
is shown. Messages of dockerd and other programs have no code, and stay as they are. Next:
`text.py`.
"""

from collections.abc import Mapping

from PySide6.QtCore import QCoreApplication, QLocale

from desktop.i18n.text import ENGINE, size, tr
from engine.messages import catalogue
from vm.errors import Problem
from vm.messages import HINT, English, Message, Text, Value


class Localized(English):
    """Formats values in the user's locale."""

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
    is_hint = text.code.endswith(HINT)
    try:
        template = _hint(message) if is_hint else _summary(message, text.values)
        return LOCALIZED.fill(template, text.values)
    except (KeyError, ValueError):  # a newer supervisor may send other values
        return text.english


def _hint(message: Message) -> str:
    return QCoreApplication.translate(ENGINE, message.hint) if message.hint else ""


def _summary(message: Message, values: Mapping[str, Value]) -> str:
    """The translated template. Raises KeyError or ValueError where the number is not given."""
    if not message.one:
        return QCoreApplication.translate(ENGINE, message.summary)
    number = int(str(values[message.count]))
    found = QCoreApplication.translate(ENGINE, message.summary, message.one, number)
    return message.form(values) if found == message.summary else found


def summary(problem: Problem) -> str:
    return said(problem.text)


def hint(problem: Problem) -> str:
    return said(problem.hint_text)


def told(problem: Problem, gap: str = " ") -> str:
    """The summary and the hint."""
    return gap.join(filter(None, (summary(problem), hint(problem))))
