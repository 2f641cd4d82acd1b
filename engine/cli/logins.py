"""`galley logins`: which registries docker can log in to.

Logging in and out is docker's own command (`passthrough.py`).
"""

import click

from engine.cli.command import Command, json_option
from engine.cli.output import note, say, say_json
from engine.credentials import logins as registry


@click.command(cls=Command)
@click.option("--move", is_flag=True, help="Move those of docker's plain file to the keyring.")
@json_option
def logins(move: bool, as_json: bool) -> None:
    """List the registry logins, and where they are kept."""
    if move:
        moved = registry.move_plain()
        note(f"Moved: {', '.join(moved)}." if moved else "There was nothing to move.")
    found = registry.logins()
    if as_json:
        say_json(found)
    elif not found:
        say("There are no logins. `galley login SERVER` makes one.")
    for login in () if as_json else found:
        place = f"docker-credential-{login.store}" if login.store else "plain file"
        say(f"{login.server}  {login.username}  ({place})")
