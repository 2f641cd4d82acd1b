"""Docker's times as seconds since the epoch."""

from datetime import datetime

import msgspec


def seconds(text: str | None) -> float:
    """Parses RFC 3339; 0.0 for an empty text and for Go's zero time."""
    if not text:
        return 0.0
    return max(0.0, msgspec.convert(text, datetime).timestamp())
