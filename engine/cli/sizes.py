"""Bytes as people read them on the command line."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def sized(count: int) -> str:
    """Three digits, as in "1.25 GiB"."""
    number, unit = float(count), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.3g} {UNITS[unit]}"
