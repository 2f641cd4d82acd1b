"""Start at login on Windows: a value in the user's Run key.

    HKCU\\Software\\Microsoft\\Windows\\CurrentVersion
        Run                              name → command line, at most 260 characters
        Explorer\\StartupApproved\\Run     name → 12 bytes, where Task Manager turns it off

The twelve bytes are not documented: the first is even where it is on (2, 6), odd where it is off
(3, 7), and the rest is when that was.
"""

import contextlib
import sys
import winreg

from engine.autostart.entry import (
    DISABLED,
    ENABLED,
    Login,
    State,
    another,
    turned_off,
    unchangeable,
    unreadable,
)
from engine.messages.host import AUTOSTART_COMMAND_TOO_LONG
from vm.errors import HostError
from vm.host.process import command_line

assert sys.platform == "win32"  # for mypy, which looks further only there

_CURRENT = r"Software\Microsoft\Windows\CurrentVersion"
RUN = rf"{_CURRENT}\Run"
APPROVED = rf"{_CURRENT}\Explorer\StartupApproved\Run"
LONGEST = 260  # characters; Windows does not start what is longer


def enable(login: Login) -> None:
    line = command_line(login.command)
    if len(line) > LONGEST:
        raise HostError(
            AUTOSTART_COMMAND_TOO_LONG,
            length=len(line),
            longest=LONGEST,
            details=line,
        )
    try:
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN) as key:
            winreg.SetValueEx(key, login.name, 0, winreg.REG_SZ, line)
        _delete(APPROVED, login.name)
    except OSError as error:
        raise unchangeable(rf"HKEY_CURRENT_USER\{RUN}", error) from error


def disable(login: Login) -> None:
    try:
        _delete(RUN, login.name)
        _delete(APPROVED, login.name)
    except OSError as error:
        raise unchangeable(rf"HKEY_CURRENT_USER\{RUN}", error) from error


def state(login: Login) -> State:
    try:
        line, approved = _read(RUN, login.name), _read(APPROVED, login.name)
    except OSError as error:
        return unreadable(rf"HKEY_CURRENT_USER\{RUN}", error)
    if line is None:
        return DISABLED
    if line != command_line(login.command):
        return another(str(line))
    if isinstance(approved, bytes) and approved[:1] and approved[0] % 2:
        return turned_off()
    return ENABLED


def _read(path: str, name: str) -> object:
    """None where there is no such value, or no such key."""
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
            value: object = winreg.QueryValueEx(key, name)[0]
            return value
    except FileNotFoundError:
        return None


def _delete(path: str, name: str) -> None:
    with (
        contextlib.suppress(FileNotFoundError),
        winreg.OpenKey(winreg.HKEY_CURRENT_USER, path, 0, winreg.KEY_SET_VALUE) as key,
    ):
        winreg.DeleteValue(key, name)
