"""Malformed streams raise Galley's errors, so that the reader survives."""

from typing import cast

import pytest

from engine.docker.cancel import Cancel
from engine.docker.containers import Containers
from engine.docker.streams import stats_once
from engine.docker.system import events
from engine.docker.transport import Wire
from vm.errors import EngineUnreachable


class Garbled:
    @property
    def wire(self) -> "Garbled":
        return self

    def get(self, _path: str, **_parameters: object) -> bytes:
        return b""

    def lines(self, _path: str, _cancel: Cancel, **_parameters: object) -> list[bytes]:
        return [b'{"Type": "contai']


def test_truncated_stats_and_events_are_errors() -> None:
    with pytest.raises(EngineUnreachable):
        stats_once(cast(Containers, Garbled()), "any")
    with pytest.raises(EngineUnreachable):
        next(events(cast(Wire, Garbled()), None, Cancel()))
