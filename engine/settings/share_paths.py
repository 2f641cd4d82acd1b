"""Folders of this host that the machine shares: which may be, which of the wanted ones are there.

A share has the same path on both sides, with its symbolic links followed, so that what a container
is given by a path of this host is found there. Next: `engine/shares/shared_folders.py` (which of
them are mounted), `engine/shares/binds.py` (which checks binds).
"""

import os
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePath

from engine.messages.settings import (
    SHARE_IS_FILE,
    SHARE_MISSING,
    SHARE_NOT_READABLE,
    SHARE_OF_GALLEY,
    SHARE_OF_MACHINE,
)
from vm.errors import GalleyError, Problem, SettingsError
from vm.host import private_folders
from vm.host.paths import temporary_folders
from vm.types import Share

# What the guest has of its own (`engine/guest/recipe.py`, DIRECTORIES and SKELETON_LINKS), and what
# a folder of the host would hide.
GUESTS = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/var/cache", "/var/lib/containerd", "/var/lib/docker", "/var/lib/galley-data", "/var/log"),
    *("/var/run", "/var/tmp"),
)


@lru_cache(64)  # every read of the settings checks the same few
def is_guests(path: str) -> bool:
    """Whether a share there would lie in the guest's own system, or cover it."""
    there = PurePath(path)
    return any(there.is_relative_to(own) or PurePath(own).is_relative_to(path) for own in GUESTS)


def default() -> tuple[str, ...]:
    """The default: the home folder, and the system's folders for temporary files, which test suites
    often bind."""
    return "~", *(path for path in temporary_folders() if not is_guests(path))


def folder(name: str) -> str:
    """What the user has written, as a path without links."""
    return os.path.realpath(os.path.expanduser(name))


def check(name: str, private: Iterable[str] = ()) -> str:
    """The folder that `name` means; `private`: those that Galley keeps for itself. Raises
    SettingsError when it cannot be shared."""
    path = folder(name)
    try:
        seen = os.stat(path)
    except PermissionError as error:  # it lies in one that may not be entered
        raise _unreadable(name) from error
    except (OSError, ValueError) as error:
        raise SettingsError(SHARE_MISSING, folder=name) from error
    if not stat.S_ISDIR(seen.st_mode):
        raise SettingsError(SHARE_IS_FILE, folder=name)
    if is_guests(path):
        raise SettingsError(
            SHARE_OF_MACHINE,
            folder=name,
        )
    if private_folders.holds(path, private_folders.identities(private)):
        raise SettingsError(
            SHARE_OF_GALLEY,
            folder=name,
        )
    if not os.access(path, os.R_OK | os.X_OK):
        raise _unreadable(name)
    return path


def _unreadable(name: str) -> SettingsError:
    return SettingsError(
        SHARE_NOT_READABLE,
        folder=name,
    )


def check_all(names: Iterable[str], private: Iterable[str]) -> None:
    """Raises SettingsError for the first that cannot be shared."""
    for name in names:
        check(name, private)


def wanted(
    names: Iterable[str], read_only: Iterable[str], private: Iterable[str] = ()
) -> tuple[tuple[Share, ...], tuple[Problem, ...]]:
    """The shares, outer ones first, and why others are left out."""
    modes: dict[str, bool] = {}
    problems = []
    for name, is_read_only in [*((n, False) for n in names), *((n, True) for n in read_only)]:
        try:
            modes[check(name, private)] = is_read_only
        except GalleyError as error:
            problems.append(error.to_problem())
    shares = (Share(path, path, mode) for path, mode in sorted(modes.items()))
    return tuple(share for share in shares if not _adds_nothing(share, modes)), tuple(problems)


def _adds_nothing(share: Share, modes: dict[str, bool]) -> bool:
    """Whether the nearest folder around it is shared in the same way."""
    around = (str(path) for path in PurePath(share.host_path).parents)
    nearest = next((path for path in around if path in modes), None)
    return nearest is not None and modes[nearest] is share.read_only
