"""Every ANSI colour is legible in both schemes."""

import pytest
from PySide6.QtGui import QColor

from desktop.theme.tokens import DARK, LIGHT, Tokens
from desktop.widgets.log.ansi_colors import NAMED, READABLE, contrast, legible


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_the_named_colours_are_legible(tokens: Tokens) -> None:
    name, surface = tokens.name, QColor(tokens.surface)
    for color in NAMED[name]:
        assert contrast(QColor(color), surface) >= READABLE, (name, color)


def test_any_other_colour_is_adjusted_until_it_is_legible() -> None:
    for background in ("#FFFFFF", "#1B212A", "#808080", "#CD0000"):
        for wanted in ("#FFFF00", "#0000EE", "#808080", "#010101", background):
            assert (
                contrast(legible(QColor(wanted), QColor(background)), QColor(background))
                >= READABLE
            )
    assert legible(QColor("#000000"), QColor("#FFFFFF")) == QColor("#000000")
