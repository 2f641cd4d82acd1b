"""Checks of this computer: folders, disk, memory, settings, proxy, start at login."""

import os
import shutil
from pathlib import Path

import psutil

from engine import autostart
from engine.autostart import Standing
from engine.diagnose.facts import Check, Facts
from engine.messages.diagnose import DIAGNOSE_MEMORY, DIAGNOSE_SPACE
from engine.provisioning import proxies
from engine.settings.store import SettingsStore
from vm.errors import DiskFull, NotEnough, Problem
from vm.host.paths import unusable

GIB = 1024**3
ENOUGH = 5 * GIB  # a few images; the data disk is sparse and fails when the host's is full


def _has_home(facts: Facts) -> bool:
    return facts.home.root.exists()


def _check_folders(facts: Facts) -> Problem | None:
    for folder in (facts.home.root, facts.home.run, facts.home.logs, facts.home.machine):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            return unusable(folder, PermissionError(13, "it is not writable")).to_problem()
    return None


FOLDERS = Check("Galley's folders can be written", _has_home, _check_folders)


def free_space(folder: Path) -> int:
    """Bytes free on the disk that holds the folder."""
    return shutil.disk_usage(folder).free


def _check_space(facts: Facts) -> Problem | None:
    left = free_space(facts.home.root)
    if left >= ENOUGH:
        return None
    return DiskFull(
        DIAGNOSE_SPACE,
        free=left,
        folder=facts.home.root,
    ).to_problem()


SPACE = Check("There is free space on the disk", _has_home, _check_space)


def _check_settings(facts: Facts) -> Problem | None:
    assert facts.settings is not None
    return facts.settings.problems[0] if facts.settings.problems else None


SETTINGS = Check(
    "The settings file is in order", lambda facts: facts.settings is not None, _check_settings
)


def available_memory() -> int:
    """Bytes that programs may still take without swapping."""
    return int(psutil.virtual_memory().available)


def _machine_needs_memory(facts: Facts) -> bool:
    return facts.settings is not None and not facts.is_running


def _check_memory(facts: Facts) -> Problem | None:
    assert facts.settings is not None
    free, wanted = available_memory(), facts.settings.memory
    if wanted <= free:
        return None
    return NotEnough(
        DIAGNOSE_MEMORY,
        wanted=wanted,
        free=free,
    ).to_problem()


MEMORY = Check("There is enough memory for the machine", _machine_needs_memory, _check_memory)


def _uses_proxy(facts: Facts) -> bool:
    wanted, unusable_proxy = proxies.wanted(SettingsStore(facts.home))
    return unusable_proxy is not None or bool(wanted.addresses)


def _check_proxy(facts: Facts) -> Problem | None:
    wanted, unusable_proxy = proxies.wanted(SettingsStore(facts.home))
    for address in wanted.with_login:
        proxies.password(address)
    return unusable_proxy or proxies.why_down(wanted)


PROXY = Check("The proxy answers", _uses_proxy, _check_proxy)


def _starts_at_login(facts: Facts) -> bool:
    return autostart.state(facts.home).standing is not Standing.DISABLED


def _check_autostart(facts: Facts) -> Problem | None:
    return autostart.state(facts.home).problem


AUTOSTART = Check("This Galley starts at login", _starts_at_login, _check_autostart)
