"""What is started at login, and whether it is: the words that the three systems share.

May import: `vm.errors`, msgspec. Next: `linux.py`, `macos.py`, `windows.py`.
"""

from enum import StrEnum
from typing import Protocol

import msgspec

from vm.errors import HostError, Problem

_EITHER = (
    "Let this Galley start with `galley settings set start_at_login true`, or none with "
    "`galley settings set start_at_login false`."
)


class Login(msgspec.Struct, frozen=True):
    """`name`: one for each Galley of this user, as its docker context has; `command`: the program,
    by its whole path, and its arguments."""

    name: str
    command: tuple[str, ...]


class Standing(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"
    ELSEWHERE = "elsewhere"  # there is an entry, and it does not start this Galley


class State(msgspec.Struct, frozen=True):
    """`problem`: of ELSEWHERE, what is in the way and how it is taken out of it."""

    standing: Standing
    problem: Problem | None = None


class System(Protocol):
    """What `linux`, `macos` and `windows` are, as modules."""

    def enable(self, login: Login, /) -> None:
        """From the next login on, whatever was in the way. Raises HostError."""

    def disable(self, login: Login, /) -> None:
        """Nothing is left of it. Raises HostError."""

    def state(self, login: Login, /) -> State:
        """As the system will act at the next login. Never raises: what cannot be read is a
        state, too."""


ENABLED, DISABLED = State(Standing.ENABLED), State(Standing.DISABLED)


def turned_off() -> State:
    """By the desktop's own list of what starts: the entry stays and does nothing."""
    return _elsewhere("Galley would start at login, but the desktop's own settings turn it off.")


def another(command: str) -> State:
    return _elsewhere(f"What starts at login is not this Galley: {command}.")


def unreadable(place: object, error: Exception) -> State:
    return _elsewhere(f"What starts at login cannot be read from {place}: {error}.")


def unchangeable(place: object, error: Exception) -> HostError:
    return HostError(
        f"Start at login cannot be changed: {error}.",
        f"Make {place} writable for your user, then try again.",
        details=str(error),
    )


def _elsewhere(summary: str) -> State:
    return State(Standing.ELSEWHERE, HostError(summary, _EITHER).to_problem())
