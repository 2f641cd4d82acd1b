"""`galley settings`: get, set, unset and list. May import: click, `engine.settings`, `reach`.

Reading needs nobody. Writing goes through the supervisor where one runs, so that it knows at once.
"""

import sys

import click
import msgspec

from engine.cli import reach
from engine.cli.command import Group, json_option
from engine.cli.output import DIM, YELLOW, note, say, say_json, styled
from engine.control.protocol import SetParams, UnsetParams
from engine.settings import Entry, SettingsStore, find
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
        about = f"{entry.setting.help} Allowed: {entry.setting.allowed}."
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
    """Change a setting."""
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
    """Go back to the default of a setting."""
    client = reach.running_supervisor()
    if client is None:
        _tell(SettingsStore(make_home(find_home())).unset(name), is_running=False)
        return
    with client:
        reply = client.call("settings.unset", UnsetParams(name))
    _tell(msgspec.json.decode(reply, type=Entry), is_running=True)


def _tell(entry: Entry, *, is_running: bool) -> None:
    say(f"{entry.setting.name} is {entry.text} now.")
    if is_running and entry.setting.needs_restart:
        note(styled(entry.setting.needs_restart, YELLOW, sys.stderr))
