"""Parses the ANSI styles of a line of output: colours and weights.

`AnsiReader` splits a line into its plain text and its styled ranges. Other escape sequences are
removed, and invalid text becomes the replacement character. Next: `ansi_colors.py`, which maps the
numbers to colours.
"""

import re

import msgspec

DEFAULT = -1
DIGITS = 9  # of a number; none that means something has more than three
TRUE = 1 << 24  # above it: three bytes of red, green and blue

_ESCAPE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # a style
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other control sequence
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # titles, links, and other strings for terminals
    r"|\x1b[ -/]*[0-~]?"
)
_ODD = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\u2028\u2029]")
_SILENT = re.compile(r"[\x07\x08\x0e\x0f]")


class Style(msgspec.Struct, frozen=True, gc=False):
    """Colours: -1 the view's own, 0 … 255 of the palette, above TRUE red, green and blue."""

    foreground: int = DEFAULT
    background: int = DEFAULT
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    reverse: bool = False


PLAIN = Style()
type Span = tuple[int, int, Style]  # start, length

_SWITCHES: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
}


class AnsiReader:
    """For one stream, and one thread; a style lasts until it is changed, as in a terminal."""

    def __init__(self) -> None:
        self.style = PLAIN

    def read(self, line: str) -> tuple[str, tuple[Span, ...]]:
        """The plain text, and its styled pieces."""
        if self.style is PLAIN and not _ODD.search(line):
            return line, ()
        # Text before a carriage return is overwritten.
        line = line.rstrip("\r").rpartition("\r")[2]
        text: list[str] = []
        spans: list[Span] = []
        at = length = 0
        for found in _ESCAPE.finditer(line):
            length = self._add(line[at : found.start()], text, spans, length)
            at = found.end()
            if found.group(1) is not None:
                self.style = styled(self.style, found.group(1))
        self._add(line[at:], text, spans, length)
        return "".join(text), tuple(spans)

    def _add(self, piece: str, text: list[str], spans: list[Span], length: int) -> int:
        piece = _ODD.sub("\ufffd", _SILENT.sub("", piece))
        if piece:
            text.append(piece)
            if self.style != PLAIN:
                spans.append((length, len(piece), self.style))
        return length + len(piece)


def styled(style: Style, parameters: str) -> Style:
    """`style` after "ESC [ parameters m"."""
    numbers = [int(part[:DIGITS] or 0) for part in parameters.replace(":", ";").split(";")]
    at = 0
    while at < len(numbers):
        number = numbers[at]
        if number in (38, 48):
            color, at = _color(numbers, at + 1)
            which = "foreground" if number == 38 else "background"
            style = msgspec.structs.replace(style, **{which: color})
            continue
        style = _switched(style, number)
        at += 1
    return PLAIN if style == PLAIN else style


def _switched(style: Style, number: int) -> Style:
    replace = msgspec.structs.replace
    if number == 0:
        return PLAIN
    if number in _SWITCHES:
        return replace(style, **_SWITCHES[number])
    tens, ones = divmod(number, 10)
    if tens in (3, 9) and ones < 8:
        return replace(style, foreground=ones + (8 if tens == 9 else 0))
    if tens in (4, 10) and ones < 8:
        return replace(style, background=ones + (8 if tens == 10 else 0))
    if number == 39:
        return replace(style, foreground=DEFAULT)
    if number == 49:
        return replace(style, background=DEFAULT)
    return style


def _color(numbers: list[int], at: int) -> tuple[int, int]:
    """5;n or 2;r;g;b, and where the next begins."""
    kind = numbers[at] if at < len(numbers) else 0
    if kind == 5 and at + 1 < len(numbers):
        return min(numbers[at + 1], 255), at + 2
    if kind == 2 and at + 3 < len(numbers):
        red, green, blue = (min(number, 255) for number in numbers[at + 1 : at + 4])
        return TRUE | red << 16 | green << 8 | blue, at + 4
    return DEFAULT, len(numbers)
