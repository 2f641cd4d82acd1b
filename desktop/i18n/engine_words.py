"""What the engine says, in the window's language.

    engine_says("There is no volume web.")

Errors are put together far from Qt, in `vm` and `engine`, and arrive as finished English sentences.
A language has them as templates ("There is no volume {0}."), in the context "engine" of its file;
here a sentence is recognized by them. `tests/unit/desktop/i18n/test_engine_words.py` finds
templates that a language lacks. Details and dockerd's own sentences stay as they are. Next:
`text.py`.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from vm.errors import Problem

ENGINE = "engine"  # the context in the file of a language
_HOLE = re.compile(r"\{(\d+)\}")
_BREAK = r"[.?]\s+[A-Z`\"]"  # where another sentence begins
_ONE = rf"((?:(?!{_BREAK}).)*?)"  # a value within a sentence
_ANY = r"(.*?)"  # it may be sentences
_GAP = re.compile(r"(?<=[.?])(\s+)(?=[A-Z`\"])")


class Template(NamedTuple):
    strict: re.Pattern[str]
    loose: re.Pattern[str]
    numbers: tuple[int, ...]  # the places, as they stand in the source
    translation: str


def engine_says(sentence: str) -> str:
    """`sentence` in the language of the window; what no language knows stays as it is."""
    return QCoreApplication.translate(ENGINE, sentence) if sentence else ""


def told(problem: Problem, gap: str = " ") -> str:
    """What happened, and what to do."""
    return gap.join(filter(None, (engine_says(problem.summary), engine_says(problem.hint))))


class Words:
    """`templates`: of the engine. `texts`: of the window, of which the engine says some too."""

    def __init__(self, templates: dict[str, str], texts: dict[str, str]) -> None:
        self._sources = templates
        self._texts = texts

    def say(self, said: str) -> str:
        """As much of it together as is known, then the rest."""
        if " " not in said.strip():
            return said  # a name: never a sentence of ours
        pieces = _GAP.split(said)  # sentence, gap, sentence, …
        for end in range(len(pieces), 0, -2):
            found = self._known("".join(pieces[:end]))
            if found is not None:
                return found + "".join(pieces[end : end + 1]) + self.say("".join(pieces[end + 1 :]))
        if (found := self._matching(said, strict=False)) is not None:
            return found
        if len(pieces) == 1:
            return said
        return pieces[0] + pieces[1] + self.say("".join(pieces[2:]))

    def _known(self, said: str) -> str | None:
        if "{" not in said and (plain := self._sources.get(said) or self._texts.get(said)):
            return plain
        return self._matching(said, strict=True)

    def _matching(self, said: str, *, strict: bool) -> str | None:
        for template in self._templates:
            found = (template.strict if strict else template.loose).fullmatch(said)
            if found is not None:
                return self._filled(template, found.groups())
        return None

    def _filled(self, template: Template, given: Sequence[str]) -> str:
        values = dict(zip(template.numbers, map(self.say, given), strict=True))
        return _HOLE.sub(lambda hole: values[int(hole[1])], template.translation)

    @cached_property
    def _templates(self) -> list[Template]:
        """The longest literal text first: it says most."""
        order = sorted(self._sources, key=lambda source: -len(_HOLE.sub("", source)))
        return [_compiled(source, self._sources[source]) for source in order]


def _compiled(source: str, translation: str) -> Template:
    numbers = tuple(int(found[1]) for found in _HOLE.finditer(source))
    parts = [re.escape(part) for part in _HOLE.split(source)[::2]]
    holes = [_ONE] * len(numbers)
    if re.match(r"\{0\} [A-Z]", source):
        holes[0] = _ANY
    if source.endswith("}") and holes:
        holes[-1] = _ANY
    strict = parts[0] + "".join(hole + part for hole, part in zip(holes, parts[1:], strict=True))
    return Template(
        re.compile(strict, re.DOTALL),
        re.compile(_ANY.join(parts), re.DOTALL),
        numbers,
        translation,
    )
