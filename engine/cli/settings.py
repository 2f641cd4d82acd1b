"""`galley settings`: get, set, unset and list.

Reading needs no supervisor. Writing goes through the supervisor where one runs, so that it applies
the change at once.
"""

import sys
from pathlib import Path

import click
import msgspec

from engine.cli import reach
from engine.cli.command import Group, json_option
from engine.cli.output import DIM, YELLOW, note, say, say_json, styled
from engine.control.protocol import DaemonParams, SetParams, UnsetParams
from engine.provisioning import daemon_json
from engine.settings.schema import RESTART_BY
from engine.settings.store import Entry, SettingsStore, find
from vm.errors import from_problem
from vm.host.paths import find_home, make_home


@click.group(cls=Group)
def settings() -> None:
    """Read and change settings."""


@settings.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List every setting with its value, range and meaning."""
    entries = SettingsStore(find_home()).list()
    if as_json:
        say_json(entries)
        return
    width = max(len(entry.setting.name) for entry in entries)
    for entry in entries:
        origin = "" if entry.is_set else styled(" (default)", DIM, sys.stdout)
        say(f"{entry.setting.name:<{width}}  {entry.text}{origin}")
        about = f"{entry.setting.help} Allowed: {entry.setting.allowed.english}."
        say(f"{'':<{width}}  {styled(about, DIM, sys.stdout)}")


@settings.command()
@click.argument("name")
@json_option
def get(name: str, as_json: bool) -> None:
    """Print the value of one setting."""
    store = SettingsStore(find_home())
    wanted = find(store.schema(), name)
    entry = next(entry for entry in store.list() if entry.setting == wanted)
    say_json(entry) if as_json else say(entry.text)


@settings.command("set")
@click.argument("name")
@click.argument("value")
def set_one(name: str, value: str) -> None:
    """Change a setting. With - as VALUE, it is read from a prompt or from standard input: for a
    proxy's address with its password, which others could see in the list of processes."""
    if value == "-":
        is_asked = sys.stdin.isatty()
        value = click.prompt(name, hide_input=True) if is_asked else sys.stdin.readline().strip()
    client = reach.running_supervisor()
    if client is None:
        _tell(SettingsStore(make_home(find_home())).set(name, value), is_running=False)
        return
    with client:
        reply = client.call("settings.set", SetParams(name, value))
    _tell(msgspec.json.decode(reply, type=Entry), is_running=True)


@settings.command()
@click.argument("name")
def unset(name: str) -> None:
    """Reset a setting to its default."""
    client = reach.running_supervisor()
    if client is None:
        _tell(SettingsStore(make_home(find_home())).unset(name), is_running=False)
        return
    with client:
        reply = client.call("settings.unset", UnsetParams(name))
    _tell(msgspec.json.decode(reply, type=Entry), is_running=True)


@settings.command()
@click.option("--edit", is_flag=True, help="Open it in an editor, and apply what is saved.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Apply this file instead.",
)
@click.option("--show", is_flag=True, help="Print it; so does no option at all.")
def daemon(edit: bool, file: Path | None, show: bool) -> None:
    """Show or change daemon.json, the user's configuration of dockerd."""
    if edit + show + (file is not None) > 1:
        raise click.UsageError("Give one of --edit, --file and --show.")
    before = daemon_json.read(find_home())
    text: str | None = before
    if file is not None:
        text = file.read_text(encoding="utf-8")
    elif edit:
        text = click.edit(before, extension=".json")
    else:
        say(before.rstrip())
        return
    if text is None or text == before:
        note("Nothing was changed.")
        return
    problem = daemon_json.check(text)
    if problem is not None:
        raise from_problem(problem)
    with reach.supervisor() as client:
        client.call("daemon.set", DaemonParams(text))
    note("dockerd runs with it, or will from its next start.")


def _tell(entry: Entry, *, is_running: bool) -> None:
    say(f"{entry.setting.name} is {entry.text} now.")
    if is_running and entry.setting.needs_restart:
        restart = RESTART_BY[entry.setting.needs_restart]
        why = f"{entry.setting.needs_restart} Run: {restart}"
        note(styled(why, YELLOW, sys.stderr))
