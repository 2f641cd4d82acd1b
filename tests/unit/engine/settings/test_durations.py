"""Durations, parsed and formatted."""

import pytest

from engine.settings.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90s", 90), ("5", 300), ("5min", 300), ("5 m", 300), ("0.1", 6), ("1.5h", 5400),
     ("2 Hours", 7200), ("30 sec", 30), ("never", 0), ("0", 0), (" Never ", 0)],
)  # fmt: skip
def test_a_duration_is_parsed(given: str, seconds: int) -> None:
    assert parse_duration(given) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("given", ["", "soon", "-5", "5 days", "5min 3s", "s", "1e3", "5mm"])
def test_an_invalid_duration_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_duration(given)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "never"), (1, "1s"), (60, "1min"), (90, "90s"), (3600, "1h"), (5400, "90min")],
)
def test_a_duration_is_formatted_in_its_shortest_exact_form(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
