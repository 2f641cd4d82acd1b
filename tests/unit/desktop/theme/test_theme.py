"""Both schemes are legible: contrast by the formula of WCAG 2.2, 1.4.3."""

import dataclasses
import re

import pytest

from desktop.theme.style import style_sheet
from desktop.theme.tokens import DARK, LIGHT, Tokens

ENOUGH = 4.5
TEXT = ("text", "secondary", "accent", "running", "paused", "exited", "error")
BACKGROUNDS = ("window", "surface", "selection")


def luminance(color: str) -> float:
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_of_black_on_white_is_21() -> None:
    assert round(contrast("#000000", "#FFFFFF"), 1) == 21.0


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("background", [*BACKGROUNDS, "raised"])
def test_text_is_legible(tokens: Tokens, name: str, background: str) -> None:
    found = contrast(getattr(tokens, name), getattr(tokens, background))
    assert found >= ENOUGH, f"{name} on {background}: {found:.2f}"


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
def test_the_text_of_buttons_is_legible(tokens: Tokens) -> None:
    assert contrast(tokens.on_accent, tokens.accent) >= ENOUGH


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
def test_the_border_of_a_field_is_visible(tokens: Tokens) -> None:
    """WCAG 2.2, 1.4.11: the boundary of a control."""
    for background in (tokens.surface, tokens.window):
        assert contrast(tokens.edge, background) >= 3.0
    (rule,) = re.findall(r"QLineEdit, QPlainTextEdit[^{:]*{([^}]*)}", style_sheet(tokens))
    assert f"border: 1px solid {tokens.edge}" in rule


def test_a_pale_text_fails_the_check() -> None:
    pale = dataclasses.replace(LIGHT, secondary="#A0A8B0")
    assert contrast(pale.secondary, pale.surface) < ENOUGH


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda tokens: tokens.name)
def test_the_style_sheet_uses_only_colours_of_the_tokens(tokens: Tokens) -> None:
    known = {str(value) for value in dataclasses.asdict(tokens).values()}
    words = style_sheet(tokens).replace(";", " ").split()
    assert {word for word in words if word.startswith("#") and word[1:2].isupper()} <= known
