"""The style of a row: state, icon, buttons, links and sparklines.

Next: `row_delegate.py`, which paints it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from desktop.models.rows import Cell, ListLine


@dataclass(frozen=True)
class RowStyle:
    """`dot`: "running", "paused", "exited", "error" or ""; `dim`: of an engine that is away;
    `faint`: less important cells."""

    dot: str = ""
    icon: str = ""
    dim: bool = False
    busy: bool = False
    faint: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class RowButton:
    """A button at the end of a row. `name` is emitted when it is pressed."""

    name: str
    icon: str
    label: str


class RowStyler:
    """Gives the rows of one list their style, buttons and links. Each page has its own."""

    def style(self, line: ListLine) -> RowStyle:
        """State and colours of a line."""
        del line
        return RowStyle()

    def buttons(self, line: ListLine) -> Sequence[RowButton]:
        del line
        return ()

    def links(self, line: ListLine) -> Sequence[str]:
        """The parts of the LINKS cell, each a link."""
        del line
        return ()

    def sparkline(self, line: ListLine) -> Sequence[float]:
        """The little chart of the USAGE cell."""
        del line
        return ()
