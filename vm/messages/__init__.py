"""Messages for users, as data: an entry of the catalogue, and an entry with its values.

    PORT_IN_USE = Message("port.in_use", "Port {port} is already in use by {holder}.", "Stop that…")
    raise PortInUse(PORT_IN_USE, port=8080, holder="nginx")

A code is stable: programs and translations rely on it. The entries are in the modules of this
package and of `engine/messages`, whose `catalogue()` has all of them. `English` fills a template
in; the window fills in its own language (`desktop/i18n/messages.py`).

A placeholder may have a format: `{free:size}` is a number of bytes; other formats are those of
`str.format`. A template without values is used unchanged. A message whose words depend on a number
names that value in `count`, and has its English singular in `one`; a language has as many forms as
its grammar.
"""

import string
from collections.abc import Mapping

import msgspec

HINT = "#hint"  # at the end of a text's code: it is that entry's hint


class Text(msgspec.Struct, frozen=True):
    """A sentence or a part of one. `english`: as the sender renders it, for receivers that do not
    know the code. A text without a code comes from the window itself or from another program."""

    english: str
    code: str = ""
    values: "dict[str, str | int | float | Text]" = {}

    def __hash__(self) -> int:
        return hash((self.code, self.english))


type Value = str | int | float | Text


class Message(msgspec.Struct, frozen=True):
    """An entry of the catalogue: templates of a sentence and, for an error, of what to do. The
    placeholders in `summary` and `hint` are filled from the same values. An entry with neither
    values nor a hint may itself be a value of another. `one`: the summary where `count` is 1."""

    code: str
    summary: str
    hint: str = ""
    one: str = ""
    count: str = ""

    def text(self, **values: object) -> Text:
        """The summary with its values."""
        kept = {name: as_value(value) for name, value in values.items()}
        return Text(ENGLISH.fill(self.form(kept), kept), self.code, kept)

    def form(self, values: "Mapping[str, Value]") -> str:
        """The English template of the summary for these values."""
        return self.one if self.one and values.get(self.count) == 1 else self.summary


def as_value(value: object) -> Value:
    """Numbers and texts unchanged; an error or a message as its sentence; else `str(value)`."""
    if isinstance(value, str | int | float | Text):
        return value
    if isinstance(value, Message):
        return value.text()
    inner = getattr(value, "text", None)  # of a GalleyError
    return inner if isinstance(inner, Text) else str(value)


class English(string.Formatter):
    """Fills in templates. A language is a subclass that formats values in its own way."""

    def fill(self, template: str, values: Mapping[str, Value]) -> str:
        return self.vformat(template, (), values) if values else template

    def get_value(
        self, key: int | str, args: object, kwargs: Mapping[str, Value]
    ) -> str | int | float:
        del args
        value = kwargs[str(key)]
        return self.nested(value) if isinstance(value, Text) else value

    def format_field(self, value: object, format_spec: str) -> str:
        if format_spec == "size" and isinstance(value, int | float):
            return self.size(value)
        return str(super().format_field(value, format_spec))

    def nested(self, text: Text) -> str:
        return text.english

    def size(self, number: float) -> str:
        """Bytes in MiB, from 1 GiB on in GiB."""
        if number < 1 << 30:
            return f"{number / (1 << 20):.0f} MiB"
        return f"{number / (1 << 30):.1f} GiB"


ENGLISH = English()


def entries(module: object) -> dict[str, Message]:
    """The messages of a module of the catalogue, by code."""
    return {one.code: one for one in vars(module).values() if isinstance(one, Message)}
