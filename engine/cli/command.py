"""The base classes of all commands.

They add `--details`/`-v` to each command. Next: `app.py`.
"""

from collections.abc import Callable
from typing import Any

import click


def _show_details(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj.details = True


def _details_option() -> click.Option:
    return click.Option(
        ["--details", "-v"],
        is_flag=True,
        expose_value=False,
        callback=_show_details,
        help="With an error, show its last command and log lines.",
    )


class Command(click.Command):
    """A command of galley."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(_details_option())


class Group(click.Group):
    """A group whose commands are `Command`s."""

    command_class = Command


def _show_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    if value and context.find_root().obj is not None:
        context.find_root().obj.as_json = True
    return value


def json_option[F: Callable[..., Any]](function: F) -> F:
    """`--json`, which every reading command takes. An error is JSON, too (`output.guarded`)."""
    add = click.option(
        "--json", "as_json", is_flag=True, callback=_show_json, help="Print JSON, for programs."
    )
    return add(function)
