"""The order of Debian's versions, as dpkg has it.

Source: https://manpages.debian.org/deb-version.7
"""

import re

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_END = 0  # of a part without digits: after a tilde, before everything else

type _Part = tuple[tuple[int, ...], tuple[int, str]]
type Key = tuple[tuple[_Part, ...], tuple[_Part, ...], tuple[_Part, ...]]


def sort_key(version: str) -> Key:
    """A value that compares as the version does: epoch, upstream version, revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, hyphen, revision = rest.rpartition("-")
    if not hyphen:
        upstream, revision = rest, "0"
    return _parts(epoch), _parts(upstream), _parts(revision)


def _parts(text: str) -> tuple[_Part, ...]:
    """Pairs of a part without digits and a number. An empty text counts as 0."""
    return tuple(
        ((*map(_order, letters), _END), _number(digits))
        for letters, digits in _PARTS.findall(text or "0")
    )


def _order(character: str) -> int:
    """A tilde comes before the end, letters come before all other characters."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _number(digits: str) -> tuple[int, str]:
    """Compares like the number. Python's own conversion has a limit of digits."""
    significant = digits.lstrip("0")
    return len(significant), significant
