"""A figure with its floor and its goal, as a line of the table and as JSON.

Next: `timing.py`; `ping.py`, a group that uses both.
"""

from statistics import median

import msgspec

HEAD = ("figure", "value", "floor", "ratio", "goal", "n", "")
WIDTHS = (38, 15, 15, 7, 10, 4, 5)


class Goal(msgspec.Struct, frozen=True):
    """A bound: on the ratio if there is a floor, else on the value."""

    sign: str
    bound: float

    def holds(self, figure: float) -> bool:
        return figure <= self.bound if self.sign == "≤" else figure >= self.bound

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


def at_most(bound: float) -> Goal:
    return Goal("≤", bound)


def at_least(bound: float) -> Goal:
    return Goal("≥", bound)


class Row(msgspec.Struct, frozen=True):
    """One figure of the report. `holds` is None if there is no goal."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    goal: str
    holds: bool | None
    n: int

    def __str__(self) -> str:
        floor = "" if self.floor is None else f"{self.floor:.4g} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {None: "", True: "ok", False: "MISS"}[self.holds]
        value = f"{self.value:.4g} {self.unit}"
        return _line((self.name, value, floor, ratio, self.goal, str(self.n), verdict))


def row(
    name: str,
    value: float,
    unit: str,
    *,
    n: int,
    floor: float | None = None,
    goal: Goal | None = None,
) -> Row:
    ratio = value / floor if floor else None
    judged = value if ratio is None else ratio
    holds = goal.holds(judged) if goal else None
    return Row(name, value, unit, floor, ratio, str(goal or ""), holds, n)


def compared(
    name: str, unit: str, samples: tuple[list[float], list[float]], goal: Goal | None = None
) -> Row:
    """The medians of the samples of `alternate`."""
    values, floors = samples
    return row(name, median(values), unit, n=len(values), floor=median(floors), goal=goal)


def head() -> str:
    return _line(HEAD)


def _line(cells: tuple[str, ...]) -> str:
    name, *rest = (
        cell.ljust(width) if index in (0, 4) else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return "  ".join((name, *rest)).rstrip()
