"""`galley shell`: inside the virtual machine, as root."""

import click

from engine.cli import reach
from engine.cli.command import Command


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def shell(context: click.Context, command: tuple[str, ...]) -> None:
    """Open a root shell in the virtual machine, or run COMMAND there.

    It has a terminal where this command has one, else pipes, and its exit code is returned.
    """
    context.exit(reach.run_in_guest(command or None))
