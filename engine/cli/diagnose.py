"""`galley diagnose`: checks for problems, and writes a file for a bug report.

Next: `engine/diagnose/run.py`.
"""

import sys
from pathlib import Path

import click

from engine.cli.command import Command, json_option
from engine.cli.exit_codes import Exit
from engine.cli.output import DIM, GREEN, RED, counted, note, problem_text, say, say_json, styled
from vm.host.paths import find_home


@click.command(cls=Command)
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a zip for a bug report: logs, status, settings, versions. Known secrets are "
    "removed; names of containers, images and folders are not.",
)
@json_option
@click.pass_context
def diagnose(context: click.Context, bundle: Path | None, as_json: bool) -> None:
    """Check for problems. Changes nothing; exits with 1 if it finds any."""
    from engine.diagnose.bundle import write_bundle
    from engine.diagnose.run import Outcome, gathered, run_checks

    with gathered(find_home()) as facts:
        results = run_checks(facts)
        if bundle is not None:
            names = write_bundle(bundle.absolute(), facts, results)
            note(
                f"{bundle} has {counted(len(names), 'file')}. Known secrets are removed; check it "
                "before you share it."
            )
    if as_json:
        say_json(results)
    marks = {
        Outcome.FINE: styled("✓", GREEN, sys.stdout),
        Outcome.PROBLEM: styled("✗", RED, sys.stdout),
        Outcome.SKIPPED: styled("–", DIM, sys.stdout),
    }
    for result in () if as_json else results:
        say(f"{marks[result.outcome]} {result.title}")
        if result.problem is not None:
            text = problem_text(
                result.problem, details=context.find_root().obj.details, stream=sys.stdout
            )
            say("\n".join("    " + line for line in text.splitlines()))
    if any(result.problem for result in results):
        context.exit(Exit.FAILED)
