"""`docker` and its subcommands that galley has too, as click commands: for the list in `galley
--help`, and for when an option of galley's own precedes them. Next: `docker.py`, which runs
docker."""

import click

from engine.cli.command import Command
from engine.cli.docker import run_docker

UNTOUCHED = {"ignore_unknown_options": True, "help_option_names": [], "allow_extra_args": True}


def _untouched(name: str, summary: str) -> Command:
    def run(words: tuple[str, ...]) -> None:
        prefix = [] if name == "docker" else [name]
        click.get_current_context().exit(run_docker([*prefix, *words]))

    command = Command(
        name,
        callback=run,
        context_settings=UNTOUCHED | {"allow_interspersed_args": False},
        short_help=summary,
    )
    command.params = [click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)]
    return command


docker = _untouched("docker", "Run docker against Galley's engine; everything is passed through.")
compose = _untouched("compose", "The same as `galley docker compose`.")
login = _untouched("login", "The same as `galley docker login`.")
logout = _untouched("logout", "The same as `galley docker logout`.")
