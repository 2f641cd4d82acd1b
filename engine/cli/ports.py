"""`galley ports`: the containers' ports on this computer."""

import sys

import click

from engine.cli import reach
from engine.cli.command import Command, json_option
from engine.cli.output import RED, say, say_json, styled
from engine.messages.engine import ENGINE_NOT_RUNNING
from engine.types import PublishedPort
from vm.errors import NoMachine


@click.command(cls=Command)
@json_option
def ports(as_json: bool) -> None:
    """List the published ports, and why one is not open."""
    seen = reach.status()
    if seen is None:
        raise NoMachine(ENGINE_NOT_RUNNING)
    if as_json:
        say_json(seen.ports)
    elif not seen.ports:
        say("There are no published ports.")
    else:
        say("\n".join(_line(port) for port in seen.ports))


def _line(port: PublishedPort) -> str:
    forward = port.forward
    host = f"[{forward.host_address}]" if ":" in forward.host_address else forward.host_address
    route = f"{host}:{forward.host_port} → {port.container}:{port.container_port}"
    line = f"{route}/{forward.protocol}"
    if port.problem is None:
        return line
    return f"{line}  {styled(port.problem.summary, RED, sys.stdout)}"
