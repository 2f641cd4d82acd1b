"""Starts a program in a systemd scope of its own, where the user's session has systemd.

A desktop starts each program in a scope, and some end the whole scope when the program or the
session ends. So a process that is to survive gets a scope of its own. At the end of the session
systemd stops its units in reverse order of their dependencies: `at_end` runs while all else still
does. A process that was started outside of that systemd, in a login by ssh or on a console, stays
where it is. Next: `engine/control/spawn.py`.
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vm.errors import GalleyError
from vm.host import process

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds for an answer of systemd, which usually takes 10 ms
END_PATIENCE = 100  # seconds for `at_end`; systemd gives the whole session 120


def apart(name: str, at_end: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """The command prefix that starts a program in its own scope; () where none is needed.

    `name`: unique for each `at_end`, which is run with `env`. Never raises.
    """
    try:
        is_below = sys.platform == "linux" and _is_below_systemd()
        return _apart(name, at_end, env) if is_below else ()
    except (GalleyError, OSError) as error:
        log.info("no scope of the session's: %s", error)
        return ()


def _is_below_systemd() -> bool:
    private = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"), "systemd", "private")
    if not private.exists():
        return False
    asked = _ask("systemctl", "--user", "show", "--property=ControlGroup", "--value")
    its = asked.stdout.decode().strip().rstrip("/")
    ours = Path("/proc/self/cgroup").read_text().splitlines()[-1].removeprefix("0::")
    return asked.ok and ours.startswith(f"{its}/")


def _apart(name: str, at_end: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    unit = f"{name}.service"
    if not _ask("systemctl", "--user", "--quiet", "is-active", unit).ok:
        made = _ask(
            "systemd-run",
            "--user",
            "--quiet",
            "--collect",
            f"--unit={unit}",
            "--service-type=oneshot",
            "--remain-after-exit",
            f"--property=ExecStop={' '.join(map(_quoted, at_end))}",
            f"--property=TimeoutStopSec={END_PATIENCE}",
            *(f"--setenv={variable}={value}" for variable, value in env.items()),
            "true",
        )
        if not made.ok:
            log.info("no unit of the session's: %s", made.tail())
            return ()
    scope = ("systemd-run", "--user", "--scope", "--quiet", "--collect")
    return (*scope, f"--property=Before={unit}", "--")


def _ask(*words: str) -> process.Completed:
    return process.run(words, timeout=PATIENCE)


def _quoted(word: str) -> str:
    """In the syntax of ExecStop=."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'
