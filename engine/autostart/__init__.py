"""Start at login: an entry in the system's own list, which is read each time.

enable(home)    disable(home)    state(home)

The entry runs `galley desktop --hidden`, which decides itself whether to start the engine, too.
Next: `entry.py`, then the module of the system.
"""

import sys
from pathlib import Path

from engine.autostart.entry import Login, Standing, State, System
from engine.dockercli.context import context_name
from engine.dockercli.tools import own_folder
from vm.host.paths import Home, default_root

__all__ = ["Standing", "State", "disable", "enable", "login", "state"]


def enable(home: Home) -> None:
    """Make the entry start this Galley, whatever it started before. Raises HostError."""
    _system().enable(login(home))


def disable(home: Home) -> None:
    """Raises HostError."""
    _system().disable(login(home))


def state(home: Home) -> State:
    return _system().state(login(home))


def login(home: Home) -> Login:
    """The command for `home`."""
    elsewhere = [] if home.root == default_root() else ["--home", str(home.root)]
    return Login(context_name(home), (*_galley(), "desktop", "--hidden", *elsewhere))


def _galley() -> tuple[str, ...]:
    """The program `galley`, or Python with its module: `pip install --user` puts programs
    elsewhere, and Windows would open a console for `galley`."""
    ours, windowed = own_folder() / "galley", Path(sys.executable).with_name("pythonw.exe")
    if sys.platform != "win32" and ours.exists():
        return (str(ours),)
    python = str(windowed) if windowed.exists() else sys.executable
    return (python, "-P", "-m", "engine.cli")


def _system() -> System:
    if sys.platform == "win32":
        from engine.autostart import windows as system
    elif sys.platform == "darwin":
        from engine.autostart import macos as system
    else:
        from engine.autostart import linux as system
    return system
