"""Start at login on macOS: an agent of launchd, after launchd.plist(5). Never run on a Mac yet.

    ~/Library/LaunchAgents/galley.plist

The system's list of login items turns it off by launchd's own record of disabled labels, which only
`launchctl` reads and changes.
"""

import plistlib
import re
from pathlib import Path
from xml.parsers.expat import ExpatError

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
from engine.dockercli.tools import search_path
from vm.errors import GalleyError
from vm.host import ownership, process

PATIENCE = 10.0  # seconds for launchctl


def enable(login: Login) -> None:
    put(path(login), plistlib.dumps(agent(login)))
    _launchctl("enable", f"{_domain()}/{login.name}")


def disable(login: Login) -> None:
    take_out(path(login))


def state(login: Login) -> State:
    try:
        found = plistlib.loads(path(login).read_bytes())
    except FileNotFoundError:
        return DISABLED
    except (OSError, plistlib.InvalidFileException, ExpatError) as error:
        return unreadable(path(login), error)
    words = found.get("ProgramArguments") if isinstance(found, dict) else None
    if words != agent(login)["ProgramArguments"]:
        return another(" ".join(map(str, words or ())) or "nothing")
    if found.get("Disabled") is True or not found.get("RunAtLoad") or _is_disabled(login):
        return turned_off()
    return ENABLED


def path(login: Login) -> Path:
    return Path.home() / "Library" / "LaunchAgents" / f"{login.name}.plist"


def agent(login: Login) -> dict[str, object]:
    """An agent must not daemonize, so the command stays in the foreground. launchd's own PATH has
    none of the folders where QEMU is installed."""
    return {
        "Label": login.name,
        "ProgramArguments": [*login.command, "--foreground"],
        "EnvironmentVariables": {"PATH": search_path()},
        "RunAtLoad": True,
        "AbandonProcessGroup": True,  # the supervisor outlives the window
        "LimitLoadToSessionType": "Aqua",
        "ProcessType": "Interactive",
    }


def _is_disabled(login: Login) -> bool:
    labels = _launchctl("print-disabled", _domain())
    return bool(re.search(rf'"{re.escape(login.name)}" => (true|disabled)', labels))


def _launchctl(*words: str) -> str:
    """Its output; where it is missing or fails, the file alone decides."""
    try:
        return process.run(["launchctl", *words], timeout=PATIENCE).stdout.decode(errors="replace")
    except GalleyError:
        return ""


def _domain() -> str:
    return f"gui/{ownership.user_id()}"
