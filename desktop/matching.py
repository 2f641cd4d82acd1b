"""Ranks commands by how well they match a query.

A word matches best as a whole word of the text, then as the beginning of one, then as a part, then
by its letters in order: "rds" finds redis, "rstrt" Restart. Next: `palette.py`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

EXACT, BEGINNING, PART, LETTERS = 0, 1, 2, 4
FARTHER = 2  # in the words beside the title
LEAST_LETTERS = 3  # fewer would be found in too much
_BREAK = re.compile(r"[^\w]+")
_ENDS = ":….,"


class _Pieces(NamedTuple):
    text: str
    whole: frozenset[str]  # between spaces
    parts: frozenset[str]  # also of "redis-cache" or "example.com/app:1"


class SearchText:
    """A title and keywords."""

    def __init__(self, title: str, beside: str) -> None:
        self._title, self._beside = _pieces(title), _pieces(beside)

    def score(self, words: Sequence[str]) -> list[int | None]:
        """For each word, the lower the better; None where it does not match."""
        return [self._score(word) for word in words]

    def _score(self, word: str) -> int | None:
        near = _match(word, self._title)
        if near is not None and near <= BEGINNING:
            return near
        far = _match(word, self._beside)
        found = [near, None if far is None else far + FARTHER]
        return min((score for score in found if score is not None), default=None)


def _pieces(text: str) -> _Pieces:
    text = text.casefold()
    whole = frozenset(piece.strip(_ENDS) for piece in text.split())
    return _Pieces(text, whole, whole | frozenset(filter(None, _BREAK.split(text))))


def _match(word: str, pieces: _Pieces) -> int | None:
    if word in pieces.text:
        if word in pieces.whole:
            return EXACT
        return BEGINNING if any(part.startswith(word) for part in pieces.parts) else PART
    if len(word) >= LEAST_LETTERS and any(_has_letters(word, part) for part in pieces.parts):
        return LETTERS
    return None


def _has_letters(word: str, part: str) -> bool:
    """All of them in their order, from the first letter on."""
    if len(word) >= len(part) or word[0] != part[0]:
        return False
    rest = iter(part)
    return all(letter in rest for letter in word)
