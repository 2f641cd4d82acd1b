"""Every error has its exit code, and `--help` shows the table."""

import pytest

from engine.cli.exit_codes import MEANINGS, Exit, exit_code
from tests.unit.engine.cli.conftest import Galley
from vm import errors
from vm.messages import Message


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.GalleyError, 1),
        (errors.BootFailed, 1),
        (errors.EngineRefused, 1),
        (errors.SettingsError, 2),
        (errors.NoMachine, 3),
        (errors.GuestUnreachable, 3),
        (errors.EngineUnreachable, 3),
        (errors.DiskFull, 4),
        (errors.ToolMissing, 4),
        (errors.SupervisorGone, 5),
        (errors.VersionMismatch, 5),
        (errors.Cancelled, 130),
    ],
)
def test_the_exit_code_of_an_error(kind: type[errors.GalleyError], code: int) -> None:
    assert exit_code(kind(Message("", "It failed."))) == code


def test_help_shows_exit_codes_and_commands(galley: Galley) -> None:
    done = galley("--help")
    assert done.returncode == 0
    assert "130  cancelled" in done.stdout
    assert "diagnose" in done.stdout


@pytest.mark.parametrize("words", [("nothing",), ("start", "--nothing"), ("settings", "get")])
def test_wrong_usage(galley: Galley, words: tuple[str, ...]) -> None:
    done = galley(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error:" in done.stderr
