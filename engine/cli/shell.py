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

    It gets a terminal where there is one, plain pipes otherwise, and its exit code is kept.
    """
    context.exit(reach.run_in_guest(command or None))
