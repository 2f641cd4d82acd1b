"""Errors become a sentence, a hint and a code; nothing becomes a traceback."""

import io
from pathlib import Path

import pytest

from engine.cli.output import guarded, problem_text, styled
from vm.errors import BootFailed, Problem
from vm.messages import Message

PROBLEM = Problem("BootFailed", "It does not boot.", "Try again.\nOr wait.", "line 1\nline 2")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(error: BaseException, log: Path, *, details: bool = False) -> int:
    def command() -> int:
        raise error

    return guarded(command, log=lambda: log, details=lambda: details)


def test_details_only_when_asked_for() -> None:
    short = problem_text(PROBLEM, details=False, stream=io.StringIO())
    assert short == "It does not boot.\n  Try again.\n  Or wait.\n  Add --details to see more."
    assert "line 2" in problem_text(PROBLEM, details=True, stream=io.StringIO())


def test_colour_only_on_a_terminal_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("x", "31", io.StringIO()) == "x"
    assert styled("x", "31", Terminal()) == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", "31", Terminal()) == "x"


def test_an_error_of_ours(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (
        run(BootFailed(Message("", "It does not boot.", "Try again.")), tmp_path / "cli.log") == 1
    )
    assert capsys.readouterr().err == "It does not boot.\n  Try again.\n"


def test_ctrl_c(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(KeyboardInterrupt(), tmp_path / "cli.log") == 130
    assert capsys.readouterr().err == "Cancelled.\n"


def test_a_mistake_of_ours_goes_to_the_log(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "cli.log"
    assert run(ZeroDivisionError("by zero"), log) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in shown
    assert str(log) in shown
    assert "Traceback" not in shown
    assert "Traceback" in log.read_text()


def test_a_mistake_without_a_place_for_its_log_is_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "logs").touch()
    assert run(ZeroDivisionError("by zero"), tmp_path / "logs" / "cli.log") == 1
    assert "Traceback" in capsys.readouterr().err
