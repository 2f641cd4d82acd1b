"""Lengths of time as people write them: "90s", "5min", "2h", "never". `schema.py` reads settings
with it.
"""

import re

MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds
_SECONDS = {"s": 1, "m": MINUTE, "h": HOUR}
_DURATION = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(s(?:ec(?:onds?)?)?|m(?:in(?:utes?)?)?|h(?:ours?)?)?\s*", re.IGNORECASE
)


def parse_duration(given: str) -> int:
    """Seconds of "90s", "5min", "2h" or "5" (minutes); 0 of "never". Raises ValueError."""
    if given.strip().lower() == "never":
        return 0
    found = _DURATION.fullmatch(given)
    if not found:
        raise ValueError(f"{given!r} is not a time such as 90s or 5min")
    return round(float(found[1]) * _SECONDS[(found[2] or "m")[0].lower()])


def format_duration(seconds: int) -> str:
    """The shortest exact way to write it: "never", "90s", "5min", "2h"."""
    for unit, name in ((HOUR, "h"), (MINUTE, "min")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s" if seconds else "never"
