"""The list of commands, each imported only when it runs.

To add a command: write it in the file of its group, and name it in `COMMANDS`.
"""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from engine import __version__
from engine.cli import exit_codes
from engine.cli.command import Command, Group
from engine.cli.exit_codes import Exit
from engine.cli.output import note

if TYPE_CHECKING:
    from engine.cli import Options

COMMANDS: dict[str, str] = {  # name → the module with a command of that name, or the one after ":"
    "desktop": "engine.cli.desktop",
    "start": "engine.cli.lifecycle",
    "stop": "engine.cli.lifecycle",
    "suspend": "engine.cli.lifecycle",
    "restart": "engine.cli.lifecycle",
    "quit": "engine.cli.lifecycle:quit_command",
    "delete": "engine.cli.lifecycle",
    "snapshot": "engine.cli.snapshot",
    "status": "engine.cli.status",
    "ports": "engine.cli.ports",
    "disk": "engine.cli.disk",
    "docker": "engine.cli.passthrough",
    "compose": "engine.cli.passthrough",
    "login": "engine.cli.passthrough",
    "logout": "engine.cli.passthrough",
    "logins": "engine.cli.logins",
    "shell": "engine.cli.shell",
    "logs": "engine.cli.logs",
    "env": "engine.cli.env",
    "settings": "engine.cli.settings",
    "image": "engine.cli.image",
    "diagnose": "engine.cli.diagnose",
    "version": "engine.cli.version",
}


class LazyGroup(Group):
    """Imports a command's module when the command is needed."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        found: click.Command = getattr(import_module(module), attribute or name)
        return found

    def format_epilog(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write("Exit codes:\n" + exit_codes.table() + "\n")
        formatter.write_paragraph()
        formatter.write("GALLEY_HOME moves everything, so that two instances run side by side.\n")


@click.group(cls=LazyGroup, params=Command("galley").params)
@click.version_option(__version__, prog_name="galley")
def galley() -> None:
    """Galley runs the real Docker Engine in a light virtual machine."""


def run_command(words: Sequence[str], options: "Options") -> int:
    """Run one click command; its errors pass through, its usage errors become text here."""
    if "_GALLEY_COMPLETE" in os.environ:
        galley.main(prog_name="galley")  # the shell asks for completions; never returns
    try:
        with galley.make_context("galley", list(words), obj=options) as context:
            galley.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        note("Cancelled.")
        return Exit.CANCELLED
    except click.ClickException as error:  # usage errors; `no_args_is_help` is one of them
        error.show()
        return error.exit_code
    return Exit.OK
