"""`galley env`: environment variables that make docker programs of this shell use Galley.

Each shell has its own syntax and quoting; `SHELLS` is the list.
"""

import os
import shlex
import sys
from collections.abc import Callable
from typing import NamedTuple

import click

from engine.cli.command import Command, json_option
from engine.cli.output import say, say_json
from engine.dockercli.tools import client_environment
from vm.host.paths import check_home, find_home


class Shell(NamedTuple):
    """How a shell sets a variable, forgets it, and takes our output."""

    set: Callable[[str, str], str]
    unset: Callable[[str], str]
    use: str


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell_quoted(text: str) -> str:
    # PowerShell takes typographic quotes for plain ones: each is doubled.
    return "'" + "".join(char * 2 if char in "'‘’‚‛" else char for char in text) + "'"


SHELLS: dict[str, Shell] = {
    "bash": Shell(
        lambda name, value: f"export {name}={shlex.quote(value)}",
        lambda name: f"unset {name}",
        '# Run: eval "$(galley env{options})"',
    ),
    "fish": Shell(
        lambda name, value: f"set -gx {name} {_fish_quoted(value)};",
        lambda name: f"set -e {name};",
        "# Run: galley env --shell fish{options} | source",
    ),
    "powershell": Shell(
        lambda name, value: f"$Env:{name} = {_powershell_quoted(value)}",
        lambda name: f"Remove-Item -ErrorAction SilentlyContinue Env:{name}",
        "# Run: galley env --shell powershell{options} | Out-String | Invoke-Expression",
    ),
    "cmd": Shell(
        lambda name, value: f'SET "{name}={value}"',
        lambda name: f'SET "{name}="',
        "REM Run: FOR /f \"tokens=*\" %i IN ('galley env --shell cmd{options}') DO @%i",
    ),
}


@click.command(cls=Command)
@click.option("--shell", type=click.Choice(list(SHELLS)), help="Default: the shell you are in.")
@click.option("--unset", is_flag=True, help="Print what undoes it.")
@json_option
def env(shell: str | None, unset: bool, as_json: bool) -> None:
    """Print variables that make docker, compose and IDEs of this shell use Galley."""
    home = find_home()
    check_home(home)
    variables = client_environment(home)
    if as_json:
        say_json(variables)
        return
    words = SHELLS[shell or current_shell()]
    for name, value in variables.items():
        say(words.unset(name) if unset or not value else words.set(name, value))
    if sys.stdout.isatty():
        say(words.use.format(options=" --unset" if unset else ""))


def current_shell() -> str:
    """The shell that we were probably called from."""
    if os.name == "nt":
        return "cmd" if "PROMPT" in os.environ else "powershell"
    name = os.path.basename(os.environ.get("SHELL", ""))
    return {"fish": "fish", "pwsh": "powershell"}.get(name, "bash")
