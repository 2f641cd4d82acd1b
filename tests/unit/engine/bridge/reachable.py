"""What a bridge dials in tests: dockerd by any way, which can always be dialled unless told."""

from collections.abc import Callable

from vm.errors import Problem
from vm.guest.protocol import Stream


class ReachableDockerd:
    """An `engine.bridge.bridge.Dockerd` of functions."""

    def __init__(
        self, dial: Callable[[], Stream], why_down: Callable[[], Problem | None] = lambda: None
    ) -> None:
        self._dial = dial
        self._why_down = why_down

    def dial(self) -> Stream:
        return self._dial()

    def why_down(self) -> Problem | None:
        return self._why_down()
