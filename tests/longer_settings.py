"""The settings with an additional field, to test that a new setting needs nothing else."""

from typing import Annotated

import pytest

from engine.settings import schema, store
from engine.settings.schema import Settings, specs
from engine.settings.setting import Kind, SettingSpec, Topic


class LongerSettings(Settings, frozen=True, kw_only=True):
    snack: Annotated[
        str,
        SettingSpec(
            Topic.FILES,
            Kind.CHOICE,
            "Snack",
            "What there is to eat.",
            default="nuts",
            choices=("nuts", "olives"),
        ),
    ]


def use_longer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces `Settings`, as if it had the additional field."""
    monkeypatch.setattr(schema, "SPECS", specs(LongerSettings))
    monkeypatch.setattr(store, "Settings", LongerSettings)
