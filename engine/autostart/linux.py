"""Start at login on Linux and the BSDs: a file for the desktop, after freedesktop.org's Desktop
Application Autostart Specification and Desktop Entry Specification 1.5.

    $XDG_CONFIG_HOME/autostart/galley.desktop

Desktops turn an entry off with Hidden=true (KDE, Xfce, LXQt) or X-…-Autostart-enabled=false (GNOME,
MATE), or delete it.
"""

import os
import re
from pathlib import Path

from engine.autostart.entry import (
    DISABLED,
    ENABLED,
    Login,
    State,
    another,
    put,
    take_out,
    turned_off,
    unreadable,
)

_RESERVED = re.compile(r"""[\s"'\\><~|&;$*?#()`]|^$""")
_ESCAPED = re.compile(r'["`$\\]')  # where it is quoted


def enable(login: Login) -> None:
    text = (
        "[Desktop Entry]\n"
        "Type=Application\n"
        "Version=1.5\n"
        "Name=Galley\n"
        "Comment=Docker in a light virtual machine\n"
        "Comment[de]=Docker in einer leichten virtuellen Maschine\n"
        f"Exec={exec_line(login.command)}\n"
        f"TryExec={_string(login.command[0])}\n"
        "Terminal=false\n"
        "StartupNotify=false\n"
        "X-GNOME-Autostart-enabled=true\n"
    )
    put(path(login), os.fsencode(text))


def disable(login: Login) -> None:
    take_out(path(login))


def state(login: Login) -> State:
    try:
        keys = _keys(os.fsdecode(path(login).read_bytes()))
    except FileNotFoundError:
        return DISABLED
    except OSError as error:
        return unreadable(path(login), error)
    if keys.get("Exec") != exec_line(login.command):
        return another(keys.get("Exec", "nothing"))
    enabled = (word for key, word in keys.items() if key.endswith("-Autostart-enabled"))
    if keys.get("Hidden") == "true" or "false" in enabled:
        return turned_off()
    return ENABLED


def path(login: Login) -> Path:
    """The entry's path. The Base Directory Specification ignores a relative XDG_CONFIG_HOME."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    folder = given if given.is_absolute() else Path.home() / ".config"
    return folder / "autostart" / f"{login.name}.desktop"


def exec_line(command: tuple[str, ...]) -> str:
    """The value of Exec: an argument is quoted, then the whole escaped as any string is."""
    return _string(" ".join(map(_argument, command)))


def _argument(word: str) -> str:
    word = word.replace("%", "%%")
    return '"' + _ESCAPED.sub(r"\\\g<0>", word) + '"' if _RESERVED.search(word) else word


def _string(value: str) -> str:
    for raw, written in (("\\", r"\\"), ("\n", r"\n"), ("\t", r"\t"), ("\r", r"\r")):
        value = value.replace(raw, written)
    return value


def _keys(text: str) -> dict[str, str]:
    """The keys of the group [Desktop Entry], unparsed."""
    _, _, group = f"\n{text}".partition("\n[Desktop Entry]")
    lines = (line.partition("=") for line in group.partition("\n[")[0].splitlines())
    return {key.strip(): value.strip() for key, sign, value in lines if sign and key[:1] != "#"}
