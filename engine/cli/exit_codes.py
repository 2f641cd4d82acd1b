"""The exit codes of `galley`: one table, shown by `galley --help`.

`galley docker`, `compose` and `shell` exit with the code of the program they ran.
"""

from enum import IntEnum

from vm import errors


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    HOST = 4
    SUPERVISOR = 5
    CANCELLED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.FAILED: "the command failed",
    Exit.USAGE: "wrong usage, or an unknown or impossible setting",
    Exit.NOT_RUNNING: "it needs a running engine, and there is none",
    Exit.HOST: "something on this computer is in the way",
    Exit.SUPERVISOR: "the background process is gone or of another version",
    Exit.CANCELLED: "cancelled, by Ctrl+C or by another client",
}

# The first row that fits decides.
_BY_ERROR: tuple[tuple[type[errors.GalleyError], Exit], ...] = (
    (errors.Cancelled, Exit.CANCELLED),
    (errors.SettingsError, Exit.USAGE),
    (errors.NoMachine, Exit.NOT_RUNNING),
    (errors.GuestUnreachable, Exit.NOT_RUNNING),
    (errors.EngineUnreachable, Exit.NOT_RUNNING),
    (errors.HostError, Exit.HOST),
    (errors.ControlError, Exit.SUPERVISOR),
)


def exit_code(error: errors.GalleyError) -> Exit:
    """The code for an error; anything without its own row has simply failed."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.FAILED)


def table() -> str:
    """The table for `--help`."""
    rows = [f"{code.value:>5}  {MEANINGS[code]}" for code in Exit]
    return "\n".join([*rows, "docker, compose and shell exit with the code of what they ran."])
