"""A terminal's line as styled runs, for painting.

pyte keeps a line as cells by column; here they become runs of one style, immutable values for the
window. Next: `screen.py`, which makes them.
"""

import msgspec
from pyte.screens import Char
from wcwidth import wcwidth

from desktop.widgets.log.ansi import DEFAULT, PLAIN, TRUE, Style

MOST_STYLES = 4_096  # that are kept ready
NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
NUMBERS = {
    **{name: number for number, name in enumerate(NAMES)},
    **{f"bright{name}": number + 8 for number, name in enumerate(NAMES)},
    "bfightmagenta": 13,  # as pyte spells the background
}

type Cells = dict[int, Char]


class Run(msgspec.Struct, frozen=True, gc=False):
    """Neighbouring cells of one style. `wide`: one character that takes two cells."""

    column: int
    text: str
    style: Style = PLAIN
    wide: bool = False


type Row = tuple[Run, ...]


def runs(cells: Cells) -> Row:
    """A line's cells as pieces to draw."""
    found: list[Run] = []
    text, start, style, end = "", 0, PLAIN, 0
    for column in sorted(cells):
        cell = cells[column]
        if cell.data == "":  # the second half of a wide character
            continue
        alone = not cell.data.isascii()
        now = _style(cell)
        if text and (alone or column != end or now != style):
            found.append(Run(start, text, style))
            text = ""
        if alone:
            wide = len(cell.data) >= 1 and wcwidth(cell.data[0]) == 2
            found.append(Run(column, cell.data, now, wide))
            end = column + (2 if wide else 1)
            continue
        if not text:
            start, style = column, now
        text += cell.data
        end = column + 1
    if text:
        found.append(Run(start, text, style))
    return tuple(found)


def text_of(row: Row) -> str:
    """A line as text, without the blanks at its end."""
    text, end = "", 0
    for run in row:
        text += " " * (run.column - end) + run.text
        end = run.column + (2 if run.wide else len(run.text))
    return text.rstrip()


def cut(row: Row, start: int, end: int) -> str:
    """The text of some columns; a wide character stands where it begins."""
    cells: dict[int, str] = {}
    for run in row:
        if run.wide:
            cells |= {run.column: run.text, run.column + 1: ""}
        elif not run.text.isascii():
            cells[run.column] = run.text
        else:
            cells |= {run.column + place: char for place, char in enumerate(run.text)}
    return "".join(cells.get(column, " ") for column in range(start, end))


_STYLES: dict[tuple[str | bool, ...], Style] = {}


def _style(cell: Char) -> Style:
    key = cell[1:]
    style = _STYLES.get(key)
    if style is None:
        if len(_STYLES) > MOST_STYLES:
            _STYLES.clear()
        made = Style(
            _number(cell.fg),
            _number(cell.bg),
            bold=cell.bold,
            italic=cell.italics,
            underline=cell.underscore,
            strike=cell.strikethrough,
            reverse=cell.reverse,
        )
        style = _STYLES[key] = PLAIN if made == PLAIN else made
    return style


def _number(color: str) -> int:
    """pyte's names: a word, or six hexadecimal digits."""
    if color == "default":
        return DEFAULT
    if color in NUMBERS:
        return NUMBERS[color]
    try:
        return TRUE | int(color, 16)
    except ValueError:
        return DEFAULT
