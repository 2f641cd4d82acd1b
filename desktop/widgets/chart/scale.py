"""Readable steps of a value axis: 1, 2 or 5 times a power of ten; for bytes a power of two.

Next: `chart.py`.
"""

import math
from dataclasses import dataclass

STEPS = 4  # at most, above zero


@dataclass(frozen=True)
class Scale:
    """`steps` from 0 up to `top`."""

    top: float
    steps: tuple[float, ...]


def decimal_scale(highest: float, least: float = 1e-9) -> Scale:
    """`least`: what the top stands for at least, so that noise does not look like a load."""
    highest = max(highest, least)
    rough = highest / STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * (1 - 1e-9))
    count = math.ceil(highest / step - 1e-9)
    return Scale(step * count, tuple(step * number for number in range(count + 1)))


def whole_scale(highest: float) -> Scale:
    """For counts."""
    count = max(1, math.ceil(highest))
    if count <= STEPS:
        return Scale(count, tuple(map(float, range(count + 1))))
    return decimal_scale(highest)


def cores_scale(highest: float) -> Scale:
    """Shares of a core: nothing below five per cent fills the chart."""
    return decimal_scale(highest, 0.05)


def bytes_scale(highest: float) -> Scale:
    """As the units of the labels are: 512 KiB, 1 MiB."""
    highest = max(highest, 10 * 1024.0)
    step = 2.0 ** math.ceil(math.log2(highest / STEPS))
    count = math.ceil(highest / step)
    return Scale(step * count, tuple(step * number for number in range(count + 1)))
