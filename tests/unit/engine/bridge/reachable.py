"""The dockerd that a bridge dials in tests, reached by any dial function."""

from collections.abc import Callable

from vm.errors import Problem
from vm.guest.protocol import Stream


class ReachableDockerd:
    """An `engine.bridge.bridge.Dockerd` made of two functions. It is up by default."""

    def __init__(
        self, dial: Callable[[], Stream], why_down: Callable[[], Problem | None] = lambda: None
    ) -> None:
        self._dial = dial
        self._why_down = why_down

    def dial(self) -> Stream:
        return self._dial()

    def why_down(self) -> Problem | None:
        return self._why_down()
