"""`galley logs`: the logs of the machine, of dockerd and of Galley itself.

vm          the machine's console since its last start       logs/console.log
engine      dockerd                                          in the machine
supervisor  Galley's background process                      logs/supervisor.log

Root in the guest writes to the first two: control characters are escaped, also in a pipe.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from engine.cli import reach
from engine.cli.command import Command, json_option
from engine.cli.exit_codes import Exit
from engine.cli.output import Printable, note, printable, say, say_json_line
from engine.client.hold import awake
from engine.log_files import ENGINE_LOG, log_file, read_on
from vm.host.paths import find_home

POLL = 0.2  # seconds between two polls at a file that is followed
COMPONENTS = ("supervisor", "vm", "engine")


@click.command(cls=Command)
@click.option("--component", type=click.Choice(COMPONENTS), default="supervisor", show_default=True)
@click.option("--lines", "-n", type=click.IntRange(0), default=200, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Follow the log, until Ctrl+C.")
@json_option
@click.pass_context
def logs(context: click.Context, component: str, lines: int, follow: bool, as_json: bool) -> None:
    """Show the last lines of a log."""
    try:
        if component == "engine" and follow:
            if as_json:
                raise click.UsageError("The engine's log is followed as text only.")
            argv = ("tail", "-n", str(lines), "-F", ENGINE_LOG)
            context.exit(reach.run_in_guest(argv, feed=False, shown=Printable))
        for line in _engine(lines) if component == "engine" else _file(component, lines, follow):
            say_json_line({"component": component, "line": line}) if as_json else say(
                printable(line)
            )
    except KeyboardInterrupt:  # how following ends: nothing to report
        context.exit(Exit.CANCELLED)


def _engine(lines: int) -> list[str]:
    with awake(find_home()):
        guest = reach.running_guest()
        try:
            done = guest.run(("tail", "-n", str(lines), ENGINE_LOG))
        finally:
            guest.close()
    return done.stdout.decode(errors="replace").splitlines()


def _file(component: str, lines: int, follow: bool) -> Iterable[str]:
    path = log_file(find_home(), component)
    if not path.exists():
        note(f"{path} does not exist yet.")
    return _lines(path, lines, follow)


def _lines(path: Path, count: int, follow: bool) -> Iterator[str]:
    """The last lines of a file, then those that are added, through truncation and rotation."""
    data, place = read_on(path, None)
    *lines, held = data.split(b"\n")
    if not follow and held:
        lines.append(held)
    yield from map(_text, lines[-count:] if count else [])
    while follow:
        data, place = read_on(path, place)
        *lines, held = (held + data).split(b"\n")
        yield from map(_text, lines)
        if not data:
            time.sleep(POLL)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
