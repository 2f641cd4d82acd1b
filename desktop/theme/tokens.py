"""The design's tokens: measures, and colours for two schemes. Imports nothing of Galley.

Contrast of every pair in use is tested (`tests/unit/desktop/theme/test_theme.py`).
"""

from dataclasses import dataclass

GAP = (4, 8, 12, 16, 24)
ROW_HEIGHT = 36
SIDEBAR_WIDTH = 200
HEADER_HEIGHT = 56
MOTION_MS = 150
RADIUS = 6


@dataclass(frozen=True)
class Tokens:
    """One scheme. A colour is named after its use, not its look."""

    name: str
    window: str  # behind everything
    surface: str  # cards, tables, sidebar
    raised: str  # hovered rows, chips, group rows
    line: str
    edge: str  # round what can be typed into
    text: str
    secondary: str
    accent: str
    on_accent: str
    selection: str
    running: str
    paused: str
    exited: str
    error: str
    track: str  # behind bars
    shadow: str


LIGHT = Tokens(
    name="light",
    window="#F5F6F8",
    surface="#FFFFFF",
    raised="#EEF0F3",
    line="#E1E4E8",
    edge="#868F9B",
    text="#1B2430",
    secondary="#5A6472",
    accent="#0B6BCB",
    on_accent="#FFFFFF",
    selection="#E6EFFA",
    running="#16753B",
    paused="#94600A",
    exited="#5F6875",
    error="#C62828",
    track="#E9ECF0",
    shadow="#30000000",
)
DARK = Tokens(
    name="dark",
    window="#14181F",
    surface="#1B212A",
    raised="#262E39",
    line="#2C3541",
    edge="#677383",
    text="#E8ECF1",
    secondary="#9BA6B4",
    accent="#5AA9F7",
    on_accent="#0E1620",
    selection="#1D3349",
    running="#53C27C",
    paused="#E3A94B",
    exited="#98A2AF",
    error="#F28B82",
    track="#29313C",
    shadow="#80000000",
)
