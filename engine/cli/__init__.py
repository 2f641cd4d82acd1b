"""The command line, `galley`.

Start at `main`. `docker` and `compose` must be fast, so they are handled before click is imported:
they only look for a program and exec it. All else is a click command, imported when it runs
(`app.py` has the list), inside `output.guarded`, the one place for errors.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PASSED_THROUGH = ("docker", "compose", "login", "logout")


def main(args: Sequence[str] | None = None) -> int:
    """Run `galley ARGS` and return its exit code."""
    from engine.cli import output

    words = list(sys.argv[1:] if args is None else args)
    options = Options()
    return output.guarded(lambda: _dispatch(words, options), log=cli_log, options=options)


class Options:
    """Whether `--details` and `--json` were given, in any place; used when an error is shown."""

    details = False
    as_json = False


def _dispatch(words: list[str], options: Options) -> int:
    if words and words[0] in PASSED_THROUGH:
        from engine.cli.docker import run_docker

        return run_docker(words[1:] if words[0] == "docker" else words)
    from engine.cli.app import run_command

    return run_command(words, options)


def cli_log() -> "Path":
    """Where a traceback goes."""
    from vm.host.paths import find_home

    return find_home().logs / "cli.log"
