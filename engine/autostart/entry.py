"""The command that runs at login, and the states that the three systems share.

Next: `linux.py`, `macos.py`, `windows.py`.
"""

from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from engine.messages.host import (
    AUTOSTART_ANOTHER,
    AUTOSTART_CANNOT_CHANGE,
    AUTOSTART_TURNED_OFF,
    AUTOSTART_UNREADABLE,
)
from vm.errors import HomeUnusable, HostError, Problem
from vm.host.paths import write_atomic


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
    """`problem`: for ELSEWHERE, why, and how to resolve it."""

    standing: Standing
    problem: Problem | None = None


class System(Protocol):
    """The interface of the modules `linux`, `macos` and `windows`."""

    def enable(self, login: Login, /) -> None:
        """Start at login from now on, whatever has turned it off. Raises HostError."""

    def disable(self, login: Login, /) -> None:
        """Remove the entry. Raises HostError."""

    def state(self, login: Login, /) -> State:
        """As the system will act at the next login. Never raises: what cannot be read is a
        state, too."""


ENABLED, DISABLED = State(Standing.ENABLED), State(Standing.DISABLED)


def turned_off() -> State:
    """The state of an entry that the desktop's own list has disabled."""
    return _elsewhere(HostError(AUTOSTART_TURNED_OFF))


def another(command: str) -> State:
    return _elsewhere(HostError(AUTOSTART_ANOTHER, command=command))


def unreadable(place: object, reason: object) -> State:
    return _elsewhere(HostError(AUTOSTART_UNREADABLE, place=place, reason=reason))


def unchangeable(place: object, reason: object) -> HostError:
    return HostError(
        AUTOSTART_CANNOT_CHANGE,
        reason=reason,
        place=place,
    )


def put(path: Path, data: bytes) -> None:
    """An entry that is a file. Raises HostError."""
    try:
        write_atomic(path, data, 0o644)
    except HomeUnusable as error:
        raise unchangeable(path.parent, error.details) from error


def take_out(path: Path) -> None:
    """Does nothing without an entry. Raises HostError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unchangeable(path.parent, error) from error


def _elsewhere(error: HostError) -> State:
    return State(Standing.ELSEWHERE, error.to_problem())
