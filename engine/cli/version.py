"""`galley version`: of Galley, and of the engine where it runs."""

import platform

import click
import msgspec

from engine import __version__
from engine.cli import reach
from engine.cli.command import Command, json_option
from engine.cli.output import say, say_json


class Versions(msgspec.Struct, frozen=True):
    """What `galley version --json` prints; "" where it is not known now."""

    galley: str
    engine: str
    api: str
    python: str
    system: str


@click.command(cls=Command)
@json_option
def version(as_json: bool) -> None:
    """Show the versions of Galley and of the engine."""
    found = versions()
    if as_json:
        say_json(found)
        return
    say(f"Galley {found.galley}")
    say(f"Docker Engine {found.engine}, API {found.api}" if found.engine else "No engine runs.")


def versions() -> Versions:
    seen = reach.status()
    engine, api = (seen.engine.version, seen.engine.api) if seen else ("", "")
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Versions(__version__, engine, api, platform.python_version(), system)
